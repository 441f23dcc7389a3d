// How loud it is: bars that move from right to left, and the ring around the button.
const BARS = 60;
const STEP = 50; // ms per bar
const still = window.matchMedia('(prefers-reduced-motion: reduce)');

/** A level (root mean square) as 0 … 1, the way it is heard. */
const loudness = (level) => Math.max(0, Math.min(1, 1 + Math.log10(Math.max(level, 1e-6)) / 2.2));

export class Meter {
    constructor(canvas, button) {
        this.canvas = canvas;
        this.button = button;
        this.bars = [];
        this.source = () => ({ level: 0, reply: false });
    }

    run(running) {
        if (running && !this.timer) {
            this.timer = setInterval(() => this.step(), STEP);
        } else if (!running && this.timer) {
            clearInterval(this.timer);
            this.timer = null;
            this.bars = [];
            this.draw(0);
        }
    }

    step() {
        const { level, reply } = this.source();
        const height = loudness(level);
        this.bars.push({ height, reply });
        this.bars.splice(0, this.bars.length - BARS);
        this.draw(still.matches ? 0 : height);
    }

    draw(height) {
        const { canvas } = this;
        const context = canvas.getContext('2d');
        const style = getComputedStyle(canvas);
        const width = canvas.width / BARS;
        context.clearRect(0, 0, canvas.width, canvas.height);
        this.bars.forEach((bar, i) => {
            const tall = Math.max(4, bar.height * canvas.height);
            const left = canvas.width - (this.bars.length - i) * width;
            context.fillStyle = style.getPropertyValue(bar.reply ? '--reply' : '--accent');
            context.beginPath();
            context.roundRect(left + 1.5, (canvas.height - tall) / 2, width - 3, tall, 2.5);
            context.fill();
        });
        this.button.style.setProperty('--level', height.toFixed(3));
    }
}
