// The ledger: where the time of a connection went, as a bar for each end that told.
import type { Conn, Report } from "./format";
import { endName } from "./model";
import { causeColour } from "./palette";
import { duration, percents } from "./text";

export function ledger(report: Report, conn: Conn): HTMLElement | null {
  const box = document.createElement("div");
  box.className = "ledger";
  for (const side of [0, 1]) {
    const end = conn.ends[side];
    if (end.life > 0 && end.spent.length > 0)
      box.append(bar(report, endName(report, conn, side), end.life, end.spent));
  }
  return box.childElementCount > 0 ? box : null;
}

function bar(report: Report, name: string, life: number, spent: [number, number][]): HTMLElement {
  const row = document.createElement("div"), head = document.createElement("div"), track = document.createElement("div");
  const words = document.createElement("p");
  row.className = "account";
  head.className = "head";
  track.className = "track";
  words.className = "words";
  const sorted = [...spent].sort((a, b) => b[1] - a[1]), shares = percents(sorted.map(([, ns]) => ns));
  const title = document.createElement("b"), length = document.createElement("span");
  title.textContent = name;
  length.textContent = duration(life);
  head.append(title, length);
  sorted.forEach(([cause, ns], i) => {
    const text = report.head.causes[cause], piece = document.createElement("i"), word = document.createElement("span");
    const key = document.createElement("i");
    piece.style.flexGrow = String(ns / life);
    piece.style.background = key.style.background = causeColour(text);
    piece.title = `${text}: ${duration(ns)}, ${((100 * ns) / life).toFixed(1)} %`;
    track.append(piece);
    if (shares[i] === 0)
      return;
    word.append(key, `${shares[i]} % ${text}`);
    word.title = piece.title;
    words.append(word);
  });
  track.setAttribute("role", "img");
  track.setAttribute("aria-label", sorted.map(([cause], i) => `${shares[i]} % ${report.head.causes[cause]}`).join(", "));
  row.append(head, track, words);
  return row;
}
