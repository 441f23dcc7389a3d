// ELF files: marks what they need of one version of a library as optional ("weak"), so that an older library, which
// lacks the version, loads them all the same. Who does so must bring the functions in another way.
const SHT_GNU_VERNEED = 0x6ffffffe;
const WEAK = 2;

function sections(file) {
    const [at, size, n] = [Number(file.readBigUInt64LE(40)), file.readUInt16LE(58), file.readUInt16LE(60)];
    return Array.from({ length: n }, (_, i) => {
        const header = at + i * size;
        return {
            type: file.readUInt32LE(header + 4),
            offset: Number(file.readBigUInt64LE(header + 24)),
            link: file.readUInt32LE(header + 40),
        };
    });
}

function text(file, at) {
    return file.toString('latin1', at, file.indexOf(0, at));
}

/** Changes the Buffer `file` (ELF, 64 bit, little endian); how many needs were marked. */
export function weaken(file, version) {
    if (file.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') {
        throw new Error('not an ELF file of 64 bit, little endian');
    }
    const all = sections(file);
    let marked = 0;
    for (const { offset, link } of all.filter(({ type }) => type === SHT_GNU_VERNEED)) {
        const strings = all[link].offset;
        for (let need = offset, next = -1; next !== 0; need += next) {
            next = file.readUInt32LE(need + 12);
            let entry = need + file.readUInt32LE(need + 8);
            for (let n = file.readUInt16LE(need + 2); n > 0; n--) {
                if (text(file, strings + file.readUInt32LE(entry + 8)) === version) {
                    file.writeUInt16LE(file.readUInt16LE(entry + 4) | WEAK, entry + 4);
                    marked++;
                }
                entry += file.readUInt32LE(entry + 12);
            }
        }
    }
    return marked;
}
