// Reads multipart/form-data as strictly as the services do (RFC 7578): the bytes between boundaries, nothing lenient.

/** { fields: Map of name to text, files: Map of name to { filename, type, data } }; throws at the first fault. */
export function readForm(contentType, body) {
    const boundary = /^multipart\/form-data;\s*boundary="?([^";]{1,70})"?$/i.exec(contentType ?? '')?.[1];
    if (!boundary) {
        throw new Error(`no boundary in ${contentType}`);
    }
    const fields = new Map();
    const files = new Map();
    const delimiter = Buffer.from(`\r\n--${boundary}`);
    const data = Buffer.concat([Buffer.from('\r\n'), body]);
    let at = data.indexOf(delimiter);
    if (at !== 0) {
        throw new Error('the body does not begin with the boundary');
    }
    for (;;) {
        at += delimiter.length;
        const next = data.toString('latin1', at, at + 2);
        if (next === '--') {
            if (data.toString('latin1', at + 2).trim() !== '') {
                throw new Error('bytes behind the end');
            }
            return { fields, files };
        }
        const headEnd = data.indexOf('\r\n\r\n', at);
        const end = data.indexOf(delimiter, headEnd + 2);
        if (next !== '\r\n' || headEnd < 0 || end < 0) {
            throw new Error('a part that does not end');
        }
        readPart(data.toString('latin1', at + 2, headEnd), data.subarray(headEnd + 4, end), { fields, files });
        at = end;
    }
}

function readPart(head, data, { fields, files }) {
    const headers = new Map(
        head.split('\r\n').map((line) => {
            const colon = line.indexOf(':');
            return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
        }),
    );
    const disposition = headers.get('content-disposition') ?? '';
    const name = /^form-data; name="([^"]*)"/.exec(disposition)?.[1];
    if (name === undefined) {
        throw new Error(`a part without a name: ${disposition}`);
    }
    const filename = /; filename="([^"]*)"/.exec(disposition)?.[1];
    if (filename === undefined) {
        fields.set(name, data.toString());
    } else {
        files.set(name, { filename, type: headers.get('content-type'), data: Buffer.from(data) });
    }
}
