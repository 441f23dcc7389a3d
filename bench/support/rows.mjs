// Medians, rows of the table, and how they are printed.

export function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Measures every contestant once per round, in turn, so that what disturbs the machine disturbs them alike. */
export async function interleave(rounds, contestants, measure) {
    const results = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
    for (let round = 0; round < rounds; round++) {
        for (const [name, contestant] of Object.entries(contestants)) {
            results[name].push(await measure(contestant, name));
        }
    }
    return results;
}

export const medianOf = (results, pick) =>
    Object.fromEntries(Object.entries(results).map(([name, rounds]) => [name, median(rounds.map(pick))]));

/**
 * @param what     what is measured
 * @param parley   our figure
 * @param options  unit; peer, peerName: the figure beside it; goal: { ratio: x } our figure is at least x times the
 *                 peer's, { ratioAtMost: x } at most so, { atMost: x } or { atLeast: x } for the figure itself
 */
export function row(group, what, parley, { unit = '', peer, peerName = '', goal = {}, detail } = {}) {
    const ratio = peer === undefined || peer === 0 ? undefined : parley / peer;
    let ok;
    let text = '';
    if (goal.ratio !== undefined) {
        ok = ratio >= goal.ratio;
        text = `>= ${goal.ratio} x`;
    } else if (goal.ratioAtMost !== undefined) {
        ok = ratio <= goal.ratioAtMost;
        text = `<= ${goal.ratioAtMost} x`;
    } else if (goal.atMost !== undefined) {
        ok = parley <= goal.atMost;
        text = `<= ${goal.atMost} ${unit}`;
    } else if (goal.atLeast !== undefined) {
        ok = parley >= goal.atLeast;
        text = `>= ${goal.atLeast} ${unit}`;
    }
    return { group, what, unit, parley, peer, peerName, ratio, goal: text, ok, ...(detail ? { detail } : {}) };
}

export function format(value) {
    if (value === undefined) {
        return '';
    }
    const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
    return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

const COLUMNS = [
    ['row', (r) => r.group, 'left'],
    ['what', (r) => r.what, 'left'],
    ['unit', (r) => r.unit, 'left'],
    ['parley', (r) => format(r.parley), 'right'],
    ['peer', (r) => format(r.peer), 'right'],
    ['', (r) => r.peerName, 'left'],
    ['ratio', (r) => format(r.ratio), 'right'],
    ['goal', (r) => r.goal, 'left'],
    ['ok', (r) => (r.ok === undefined ? '' : r.ok ? 'yes' : 'NO'), 'left'],
];

export function printTable(rows, write = console.log) {
    const cells = rows.map((r) => COLUMNS.map(([, value]) => value(r)));
    const widths = COLUMNS.map(([title], i) => Math.max(title.length, ...cells.map((c) => c[i].length)));
    const line = (values) =>
        values
            .map((value, i) => (COLUMNS[i][2] === 'left' ? value.padEnd(widths[i]) : value.padStart(widths[i])))
            .join('  ')
            .trimEnd();
    write(line(COLUMNS.map(([title]) => title)));
    write(widths.map((width) => '-'.repeat(width)).join('  '));
    cells.forEach((c) => write(line(c)));
}
