// The page: what is pressed, and what is shown.
import { Live } from './live.js';
import { Recorded } from './recorded.js';
import { setToken } from './server.js';
import { Meter } from './meter.js';

const $ = (id) => document.getElementById(id);

const STATES = {
    live: {
        off: 'Press to talk',
        connecting: 'Connecting …',
        listening: 'Listening',
        hearing: 'Listening to you',
        thinking: 'Thinking …',
        speaking: 'Speaking',
        muted: 'Muted',
        typing: 'Ready: type a message',
    },
    recorded: {
        off: 'Press, speak, press again',
        connecting: 'Connecting …',
        hearing: 'Recording: press to send',
        thinking: 'Thinking …',
        speaking: 'Speaking',
    },
};

const MICROPHONE = {
    insecure:
        'Browsers give the microphone only to pages that come over https, or from localhost. Open this page that ' +
        'way, or type a message.',
    refused:
        'The microphone is not allowed. Allow it (in the address bar, or in the settings) and try again, or type ' +
        'a message.',
    missing: 'There is no microphone. Plug one in and try again, or type a message.',
    busy: 'The microphone is in use by another program. Close that and try again, or type a message.',
    unplugged: 'The microphone is gone. Plug it in and try again, or type a message.',
    broken: 'The microphone does not work in this browser. Try again, another browser, or type a message.',
};

const meter = new Meter($('meter'), $('talk'));
const view = { onstate, onmessage, onremove, onlevel, onnotice };
const ways = { live: new Live(view), recorded: new Recorded(view) };
let way = ways.live;
let muted = false;
let notice = null;
let level = 0;

/* ---- what the server and the microphone say ---- */

function shownState() {
    if (way.state !== 'listening') {
        return way.state;
    }
    return hasMicrophone() ? (muted ? 'muted' : 'listening') : 'typing';
}

/** Or is about to have it. */
const hasMicrophone = () => Boolean(way.microphone || way.opening);

function onstate() {
    const state = shownState();
    const texts = STATES[way === ways.live ? 'live' : 'recorded'];
    const on = way === ways.live ? state !== 'off' && hasMicrophone() : state === 'hearing';
    if (document.body.dataset.state !== state) {
        document.body.dataset.state = state;
    }
    if ($('state').textContent !== texts[state]) {
        $('state').textContent = texts[state];
    }
    $('talk').classList.toggle('on', on);
    $('talk-label').textContent = talkLabel(on);
    $('mute').disabled = way !== ways.live || !way.microphone;
    $('mute').hidden = way !== ways.live;
    $('interrupt').disabled = state !== 'speaking' && !(state === 'thinking' && way === ways.live);
    meter.run(state !== 'off');
}

function talkLabel(on) {
    if (way === ways.live) {
        return on ? 'End the conversation' : 'Start talking';
    }
    return on ? 'Send the recording' : 'Record';
}

function onlevel(value) {
    level = value;
}

/** Where the next bar of the meter comes from: the reply while one is heard, else the microphone. */
meter.source = () => (way.state === 'speaking' ? { level: way.player.level, reply: true } : { level, reply: false });

/* The list stays at its end, unless somebody reads further up. */
const list = $('messages');
let atEnd = true;
const toEnd = () => atEnd && list.scrollTo({ top: list.scrollHeight });
list.onscroll = () => (atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60);
new ResizeObserver(toEnd).observe(list);

function onmessage({ id, role, text, final, interrupted }) {
    let entry = document.getElementById(`message-${id}`);
    if (!entry) {
        entry = document.createElement('li');
        entry.id = `message-${id}`;
        entry.append(document.createElement('b'), document.createElement('p'));
        list.append(entry);
    }
    entry.className = `${role}${final ? '' : ' partial'}${interrupted ? ' interrupted' : ''}`;
    entry.firstChild.textContent = role === 'user' ? 'You' : 'parley';
    entry.lastChild.textContent = text || '…';
    $('hint').hidden = true;
    toEnd();
}

function onremove(id) {
    document.getElementById(`message-${id}`)?.remove();
    $('hint').hidden = list.childElementCount > 0;
}

/* ---- notices ---- */

function onnotice(next) {
    if (next.kind === 'token') {
        askToken(next.text);
    } else if (next.kind !== 'up') {
        notice = next;
    } else if (notice?.kind === 'gone' || notice?.kind === 'refused') {
        notice = null;
    }
    showNotice();
}

const seconds = (time) => Math.max(1, Math.ceil((time - Date.now()) / 1000));

const NOTICES = {
    microphone: () => [MICROPHONE[notice.reason], 'Try again', () => begin()],
    refused: () => [notice.text, 'Try again', () => begin()],
    server: () => [notice.text, 'Close', () => {}],
    gone: () =>
        notice.retryAt > Date.now()
            ? [`${notice.text} Next attempt in ${seconds(notice.retryAt)} s.`, 'Try now', () => way.link?.connect()]
            : [`${notice.text} Trying again …`, '', null],
};

function showNotice() {
    const [text, action] = notice ? NOTICES[notice.kind]() : ['', ''];
    const [line, button] = $('notice').children;
    $('notice').hidden = !notice;
    if (line.textContent !== text) {
        line.textContent = text;
    }
    button.hidden = !action;
    button.textContent = action;
}

setInterval(() => notice?.kind === 'gone' && showNotice(), 1000);

$('notice').lastElementChild.onclick = () => {
    const act = notice && NOTICES[notice.kind]()[2];
    if (notice?.kind !== 'gone') {
        notice = null;
    }
    showNotice();
    act?.();
};

function askToken(text) {
    if (text) {
        $('token-text').textContent = text;
    }
    $('token').querySelector('form').reset();
    if (!$('token').open) {
        $('token').showModal();
    }
}

/* No form is ever submitted: the policy of the page forbids it. */
$('token').querySelector('form').onsubmit = (event) => {
    event.preventDefault();
    setToken($('token-value').value.trim());
    $('token').close();
    begin();
};
$('token').querySelector('[value=cancel]').onclick = () => $('token').close();

/* ---- what is pressed ---- */

let typed = false; // the conversation began with a text: nobody asked for the microphone

function begin({ microphone = !typed } = {}) {
    typed = !microphone;
    if (notice?.kind !== 'gone') {
        notice = null;
    }
    showNotice();
    way.start({ microphone });
}

$('talk').onclick = () => {
    if (way === ways.recorded) {
        way.recorder ? way.finish() : begin({ microphone: true });
    } else if (way.state === 'off' || !hasMicrophone()) {
        begin({ microphone: true });
    } else {
        way.stop();
        notice = null;
        showNotice();
    }
};

$('mute').onclick = () => {
    muted = !muted;
    $('mute').setAttribute('aria-pressed', muted);
    way.mute(muted);
};

$('interrupt').onclick = () => {
    way.interrupt();
    onstate();
};

$('say').onsubmit = (event) => {
    event.preventDefault();
    const text = $('text').value.trim();
    $('text').value = '';
    if (text) {
        if (!way.link) {
            begin({ microphone: false });
        }
        way.say(text);
    }
};

document.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape' && !$('token').open) {
        $('interrupt').click();
    }
});

/* ---- which way ---- */

function choose() {
    const name = location.hash === '#recorded' ? 'recorded' : 'live';
    way.stop();
    way = ways[name];
    for (const link of document.querySelectorAll('nav a')) {
        if (link.hash === `#${name}`) {
            link.setAttribute('aria-current', 'page');
        } else {
            link.removeAttribute('aria-current');
        }
    }
    list.replaceChildren();
    $('hint').hidden = false;
    for (const message of way.messages.all.values()) {
        onmessage(message);
    }
    notice = null;
    showNotice();
    onstate();
}

window.addEventListener('hashchange', choose);
choose();

/* For the console, and for tests. */
window.voice = {
    get state() {
        return shownState();
    },
    get level() {
        return way.player?.level ?? 0;
    },
    get played() {
        return way.player?.stats;
    },
    get sent() {
        return way.stats;
    },
};
