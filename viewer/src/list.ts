// The list of connections: only those in sight are in the document.
import { endName } from "./model";
import type { Report } from "./format";
import { bytes, count, duration } from "./text";

const ROW = 62;

/** What a verdict is worth: how it is marked, and in which words. */
export function tone(verdict: string): "good" | "bad" | "warn" | "plain" {
  if (verdict === "clean")
    return "good";
  if (["reset", "refused", "timeout", "unanswered", "unreachable", "error"].includes(verdict))
    return "bad";
  return verdict === "half" ? "warn" : "plain";
}

const glyphs = { good: "✓", bad: "✕", warn: "!", plain: "·" };

export class List {
  onSelect: (conn: number) => void = () => {};
  selected = 0;
  shown: number[] = [];
  private readonly inner = document.createElement("div");

  private query = "";

  constructor(private readonly host: HTMLElement, private report: Report) {
    this.inner.className = "inner";
    host.append(this.inner);
    host.setAttribute("role", "listbox");
    host.setAttribute("aria-label", "Connections");
    host.tabIndex = 0;
    host.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(host);
    this.filter("");
  }

  /** The same run, of which more is known. */
  update(report: Report): void {
    this.report = report;
    this.filter(this.query);
  }

  filter(query: string): void {
    this.query = query;
    const words = query.toLowerCase().split(/\s+/).filter(Boolean), { conns, hosts } = this.report.head;
    this.shown = [];
    conns.forEach((conn, i) => {
      if (i === 0)
        return;
      if (words.length > 0) {
        const text = [conn.text, conn.verdict, ...conn.ends.map((e) => `${e.addr} ${hosts[e.host] ?? ""} ${e.error}`),
          conn.ends.some((e) => e.lost > 0) ? "lost" : "", conn.ends.some((e) => e.again > 0) ? "again retransmitted" : "",
          conn.udp ? "udp" : "tcp"].join(" ").toLowerCase();
        if (!words.every((word) => text.includes(word)))
          return;
      }
      this.shown.push(i);
    });
    this.draw();
  }

  select(conn: number): void {
    this.selected = conn;
    const at = this.shown.indexOf(conn);
    if (at >= 0) {
      const y = at * ROW;
      if (y < this.host.scrollTop)
        this.host.scrollTop = y;
      else if (y + ROW > this.host.scrollTop + this.host.clientHeight)
        this.host.scrollTop = y + ROW - this.host.clientHeight;
    }
    this.draw();
  }

  /** The connection `step` further on in the list. */
  neighbour(step: number): number {
    const at = this.shown.indexOf(this.selected);
    return this.shown[Math.max(0, Math.min(this.shown.length - 1, at + step))] ?? this.selected;
  }

  private draw(): void {
    const first = Math.max(0, Math.floor(this.host.scrollTop / ROW) - 3);
    const last = Math.min(this.shown.length, first + Math.ceil(this.host.clientHeight / ROW) + 7);
    this.inner.style.height = `${this.shown.length * ROW}px`;
    const nodes = [];
    for (let i = first; i < last; i++)
      nodes.push(this.item(this.shown[i], i));
    if (this.shown.length === 0) {
      const none = document.createElement("p");
      none.className = "none";
      none.textContent = this.report.head.conns.length > 1 ? "None matches." : "No connection was seen.";
      nodes.push(none);
    }
    this.inner.replaceChildren(...nodes);
  }

  private item(conn: number, at: number): HTMLElement {
    const { head } = this.report, c = head.conns[conn], node = document.createElement("button"), kind = tone(c.verdict);
    node.className = "conn";
    node.type = "button";
    node.setAttribute("role", "option");
    node.setAttribute("aria-selected", String(conn === this.selected));
    node.style.top = `${at * ROW}px`;
    node.tabIndex = -1;
    const add = (className: string, text: string): void => {
      const span = document.createElement("span");
      span.className = className;
      span.textContent = text;
      node.append(span);
    };
    add(`glyph ${kind}`, glyphs[kind]);
    add("who", `${head.one_sided ? c.ends[0].addr : endName(this.report, c, 0)} → ${c.ends[1].addr || endName(this.report, c, 1)}`);
    add("how", c.text);
    const again = c.ends[0].again + c.ends[1].again;
    add("much", [bytes(c.ends[0].bytes + c.ends[1].bytes), duration(c.ended - c.began),
      again ? `${count(again)} again` : ""].filter(Boolean).join(" · "));
    node.addEventListener("click", () => this.onSelect(conn));
    return node;
  }
}
