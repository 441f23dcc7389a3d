// What is said in tests of speech, and how much of it was understood.
import assert from 'node:assert/strict';

export const sentences = [
    'hello how are you today',
    'i would like to cancel my order',
    'what time does the store open tomorrow',
    'please help me with my account',
    'the weather is very nice today',
    'i want to buy a new computer',
    'can you tell me where the station is',
    'thank you for your help',
    'my name is john and i live in london',
    'please call me back in ten minutes',
];

const words = (text) => text.toLowerCase().replace(/[^a-z' ]+/g, ' ').split(' ').filter(Boolean);

/** Words of `said` that were heard, by the edit distance: { right, all }. */
export function understood(heard, said) {
    const a = words(said);
    const b = words(heard);
    let row = [...Array(b.length + 1).keys()];
    a.forEach((word, i) => {
        const next = [i + 1];
        b.forEach((other, j) => next.push(Math.min(row[j + 1] + 1, next[j] + 1, row[j] + (word === other ? 0 : 1))));
        row = next;
    });
    return { right: Math.max(0, a.length - row[b.length]), all: a.length };
}

/** At least 80 in 100 words are right; one may be wrong in a short sentence. */
export function assertUnderstood(heard, said) {
    const { right, all } = understood(heard, said);
    assert.ok(right >= Math.min(all * 0.8, all - 1), `heard "${heard}" for "${said}"`);
}

/** Mean loudness of PCM (16 bit). */
export function pcmLevel(pcm) {
    let sum = 0;
    for (let i = 0; i + 1 < pcm.length; i += 2) {
        sum += pcm.readInt16LE(i) ** 2;
    }
    return Math.sqrt(sum / Math.max(1, pcm.length / 2));
}

export const bytes = async (response) => Buffer.from(await response.arrayBuffer());
