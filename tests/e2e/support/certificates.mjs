// A private certificate authority for a test, and certificates of it, made with the openssl command.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const openssl = (...args) => run('openssl', args);
const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export class Authority {
    /** Files ca.pem and ca.key in the folder. */
    static async make(folder) {
        const ca = new Authority();
        ca.folder = folder;
        ca.file = path.join(folder, 'ca.pem');
        ca.key = path.join(folder, 'ca.key');
        const subject = ['-subj', '/CN=Test authority', '-days', '2'];
        await openssl('req', '-x509', ...EC, '-keyout', ca.key, '-out', ca.file, ...subject);
        ca.pem = await readFile(ca.file, 'utf8');
        return ca;
    }

    /** A certificate for these names: { cert, key, files… }; `cert` and `key` are PEM. */
    async issue(name, alternatives = 'DNS:localhost,IP:127.0.0.1') {
        const [certFile, keyFile, request, extensions] = ['pem', 'key', 'csr', 'ext'].map((end) =>
            path.join(this.folder, `${name}.${end}`),
        );
        await writeFile(extensions, `subjectAltName=${alternatives}\nbasicConstraints=CA:FALSE\n`);
        await openssl('req', ...EC, '-keyout', keyFile, '-out', request, '-subj', `/CN=${name}`);
        const signed = ['-CA', this.file, '-CAkey', this.key, '-CAcreateserial', '-days', '2', '-extfile', extensions];
        await openssl('x509', '-req', '-in', request, '-out', certFile, ...signed);
        const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
        return { name, certFile, keyFile, cert, key };
    }
}
