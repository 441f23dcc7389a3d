// Reads SSML as an XML parser would: throws when it is not well-formed, or has an element or attribute unknown here.

const KNOWN = {
    speak: ['version', 'xmlns', 'xmlns:mstts', 'xmlns:emo', 'xml:lang'],
    voice: ['name', 'xml:lang'],
    prosody: ['rate', 'pitch', 'volume'],
};
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;

function unescape(text) {
    return text.replace(/&([^;]*);?/g, (whole, name) => {
        if (!whole.endsWith(';') || !(name in ENTITIES)) {
            throw new Error(`not well-formed: ${whole}`);
        }
        return ENTITIES[name];
    });
}

function readTag(tag, open) {
    const [, closing, name, attributes] = /^<(\/?)([a-z]+)((?:\s+[a-z:]+=(?:'[^'<]*'|"[^"<]*"))*)\s*>$/.exec(tag) ?? [];
    if (!name || !KNOWN[name]) {
        throw new Error(`not well-formed, or unknown: ${tag}`);
    }
    if (closing) {
        if (open.pop() !== name) {
            throw new Error(`${tag} closes another element`);
        }
        return null;
    }
    open.push(name);
    const values = {};
    for (const [, key, value] of attributes.matchAll(/([a-z:]+)=['"]([^'"]*)['"]/g)) {
        if (!KNOWN[name].includes(key)) {
            throw new Error(`unknown attribute ${key} of ${name}`);
        }
        values[key] = unescape(value);
    }
    return { name, values };
}

/** { language, voice, rate, text } */
export function readSsml(document) {
    const open = [];
    const result = { text: '' };
    if (FORBIDDEN.test(document)) {
        throw new Error('a character that XML does not have');
    }
    for (const [token] of document.matchAll(/<[^>]*>?|[^<]+/g)) {
        if (!token.startsWith('<')) {
            result.text += unescape(token);
            continue;
        }
        const element = readTag(token, open);
        if (element && (element.name === 'speak') !== (open.length === 1)) {
            throw new Error(`${element.name} in the wrong place`);
        }
        result.language = element?.values['xml:lang'] ?? result.language;
        result.voice = element?.values.name ?? result.voice;
        result.rate = element?.values.rate ?? result.rate;
    }
    if (open.length > 0 || !result.voice || !result.language) {
        throw new Error('an element is not closed, or there is no voice or language');
    }
    return result;
}
