/* Tables that are sorted by their column heads: a click or a key, once up, again down, a third time as they were. */
"use strict";

const tableUnits = {
  "%": 0.01, µs: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600,
  k: 1e3, K: 1e3, thousand: 1e3, M: 1e6, million: 1e6, G: 1e9, B: 1e9, billion: 1e9, T: 1e12, trillion: 1e12,
};
const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/* What a text that begins with a number is worth, its unit included; NaN for any other. Of an interval it is the value. */
function worth(text) {
  if (/^\d{4}-\d\d(-\d\d)?$/.test(text)) return Number(text.replaceAll("-", "").padEnd(8, "0"));
  const shares = /^(\d+)\/(\d+)$/.exec(text);
  if (shares) return shares[1] / shares[2];
  const number = (
    /^[≈~<>≤≥±]*\s*([+−-]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?)(?:\s*[·×]\s*10(⁻?[⁰¹²³⁴-⁹]+))?\s*([%µ\p{L}]*)\s*(.*)/u
  ).exec(text);
  if (!number) return NaN;
  const [, digits, raised, unit, rest] = number;
  const power = (raised ?? "").replace("⁻", "-").replace(/[⁰¹²³⁴-⁹]/g, (digit) => superscripts.indexOf(digit));
  const factor = tableUnits[unit] ?? tableUnits[/^([kKMGT])i?B$/.exec(unit)?.[1]] ?? 1;
  const value = Number(digits.replaceAll(",", "").replace("−", "-")) * 10 ** Number(power) * factor;
  return ["h", "min"].includes(unit) && /^\d/.test(rest) ? value + worth(rest) : value;  // 2 min 5 s
}

/* The order of the rows by a column: numbers by what they are worth, everything else as text, and what is missing last. */
function sortedRows(rows, column, down) {
  const texts = new Map(rows.map((row) => [row, row.cells[column].textContent.trim()]));
  const missing = (row) => ["", "–", "—", "-", "NaN"].includes(texts.get(row));
  const there = rows.filter((row) => !missing(row)), values = new Map(there.map((row) => [row, worth(texts.get(row))]));
  const words = new Intl.Collator("en", { numeric: true });
  const compare = [...values.values()].some(Number.isNaN)
    ? (one, other) => words.compare(texts.get(one), texts.get(other))
    : (one, other) => values.get(one) - values.get(other);
  there.sort((one, other) => (down ? -compare(one, other) : compare(one, other)));
  return [...there, ...rows.filter(missing)];
}

function makeSortable(table) {
  const [body] = table.tBodies, rows = [...body.rows], columns = rows[0].cells.length;
  const heads = [];
  for (let column = 0; column < columns; column++) {  // a data frame names its index in a second row
    const head = [...table.tHead.rows].map((row) => row.cells[column]).findLast((cell) => cell.textContent.trim());
    if (!head || head.querySelector("a, button, input")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "workbench-sort";
    button.title = "Sort by this column";
    const place = head.querySelector(":scope > p:only-child") ?? head;
    button.append(...place.childNodes);
    place.append(button);
    heads.push(head);
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort") ?? "none"];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (next !== "none") head.setAttribute("aria-sort", next);
      body.append(...(next === "none" ? rows : sortedRows(rows, column, next === "descending")));
    });
  }
}

document.querySelectorAll("article table").forEach((table) => {
  const rows = [...(table.tHead?.rows ?? []), ...(table.tBodies[0]?.rows ?? [])], [first] = rows;
  const single = (cell) => cell.colSpan === 1 && cell.rowSpan === 1;
  const even = rows.every((row) => row.cells.length === first.cells.length && [...row.cells].every(single));
  const large = table.tHead?.rows.length && table.tBodies.length === 1 && table.tBodies[0].rows.length >= 3;
  if (large && even && first.cells.length > 1 && !table.closest("figure, .unsorted")) makeSortable(table);
});
