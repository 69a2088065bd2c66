// Puts the page together: the list, one connection, and what hands and keys do.
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { Diagram, type Mode } from "./diagram";
import { reportOfPage, type Report } from "./format";
import { follow, Store, type Status } from "./live";
import { ledger } from "./ledger";
import { List, tone } from "./list";
import { endName, facts, label, lowerBound, search, viewOfAll, viewOfConn, type View } from "./model";
import { isDark } from "./palette";
import { Plots } from "./plots";
import { bytes, count, duration, plural } from "./text";

type Content = Node | string | null | undefined | false;

function el<K extends keyof HTMLElementTagNameMap>(tag: K, props: Record<string, unknown> = {}, ...content: Content[]): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on"))
      node.addEventListener(name.slice(2), value as EventListener);
    else if (value !== false && value !== undefined)
      node.setAttribute(name, String(value));
  }
  node.append(...content.filter((c): c is Node | string => Boolean(c)));
  return node;
}

const keys: [string, string][] = [
  ["← →", "the packet before, the packet after"], ["↑ ↓", "scroll"], ["[ ]", "the connection before, the one after"],
  ["Space", "play, and pause"], ["+ −", "zoom the diagram"], ["0", "all of it"], ["1", "lines that can be read"],
  ["t", "by order or by time"], ["n N", "the next trouble, the one before"], ["/", "search packets"], ["d", "light or dark"],
  ["?", "this list"], ["Esc", "let go of the packet"],
];

class App {
  private view!: View;
  private side = 0;
  private speed = 12;
  private timer = 0;
  private readonly list: List;
  private readonly diagram: Diagram;
  private readonly plots: Plots;
  private readonly head = el("header", { class: "conn-head" });
  private readonly detail = el("aside", { class: "detail", "aria-live": "polite", "aria-label": "The chosen packet" });
  private readonly find = el("input", { type: "search", placeholder: "Find packet", "aria-label": "Find packet", class: "find" });
  private readonly found = el("span", { class: "found", role: "status" });
  private readonly play = el("button", { type: "button", title: "Play (Space)", "aria-label": "Play" }, "▶");
  private readonly mode = el("button", { type: "button", class: "mode", title: "By order or by time (t)" }, "By order");
  private readonly sides = el("div", { class: "sides", role: "group", "aria-label": "Whose sending the plots show" });
  private readonly help = el("dialog", { class: "help" });
  private readonly root: HTMLElement;

  private readonly sum = el("p", { class: "sum" });
  private readonly badge = el("button", { type: "button", class: "badge", hidden: "" });

  constructor(private report: Report, isLive = false) {
    const { head } = report, list = el("nav", { class: "list" }), diagram = el("div", { class: "canvas" }), plots = el("div", { class: "plots" });
    this.root = el("div", { class: "app", "data-tab": "diagram" });
    document.getElementById("app")!.replaceChildren(this.root, this.help);
    document.title = head.title ? `${head.title} · weir` : "weir report";
    const filter = el("input", { type: "search", placeholder: "Filter connections", "aria-label": "Filter connections" });
    const several = isLive || head.conns.length > 2;
    this.root.append(
      el("header", { class: "top" },
        el("div", { class: "brand" }, el("b", {}, "weir"), el("h1", {}, head.title)),
        el("div", { class: "tools" }, this.badge,
          el("button", { type: "button", title: "Keys (?)", "aria-label": "Keys", onclick: () => this.help.showModal() }, "?"),
          el("button", { type: "button", title: "Light or dark (d)", "aria-label": "Light or dark", onclick: () => this.theme() }, "◐"))),
      el("div", { class: "tabs", role: "tablist" }, ...["connections", "diagram", "plots"].map((tab) =>
        el("button", { type: "button", role: "tab", "data-for": tab, onclick: () => this.tab(tab) }, tab[0].toUpperCase() + tab.slice(1)))),
      el("div", { class: "side" },
        this.sum,
        several && el("div", { class: "filter" }, filter),
        list,
        several && el("button", { type: "button", class: "all", onclick: () => this.choose(-1) }, "All in one diagram")),
      el("main", {}, this.claims(), this.head,
        el("div", { class: "panes" },
          el("div", { class: "pane diagram" }, this.toolbar(), diagram, this.detail),
          el("div", { class: "pane plots-pane" }, this.sides, plots))));
    this.fillHelp();
    this.sum.textContent = this.summary();
    this.list = new List(list, report);
    this.diagram = new Diagram(diagram);
    this.plots = new Plots(plots);
    this.list.onSelect = (conn) => this.choose(conn);
    this.diagram.onSelect = (rank) => this.select(rank, false);
    this.diagram.onScroll = (from, to) => this.plots.setSeen(from, to);
    this.plots.onPick = (seconds) => this.pick(seconds);
    filter.addEventListener("input", () => this.list.filter(filter.value));
    document.addEventListener("keydown", (e) => this.key(e));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.restyle());
    this.open(this.firstOfInterest());
  }

  // ---- While the run goes on ----

  private isChosen = false; // somebody has chosen a connection: it stays
  private isFrozen = false;

  /** More is known now. */
  update(report: Report): void {
    if (this.isFrozen || this.timer)
      return;
    const before = this.list.selected, old = this.report;
    this.report = report;
    this.sum.textContent = this.summary();
    this.list.update(report);
    const conn = this.isChosen || before > 0 ? before : this.firstOfInterest();
    if (conn !== before || !this.view) {
      this.open(conn);
      this.diagram.toEnd();
      return;
    }
    const isMore = conn < 0 || report.head.conns[conn] === undefined || old.head.conns[conn]?.rows !== report.head.conns[conn].rows ||
      old.rows.num[old.first[conn]] !== report.rows.num[report.first[conn]];
    this.view = conn < 0 ? viewOfAll(report) : viewOfConn(report, conn);
    this.fillHead();
    if (!isMore)
      return;
    this.fillSides();
    this.diagram.update(this.view);
    if (this.view.conn)
      this.plots.setView(this.view, this.side, true);
    this.fillDetail(this.diagram.selected);
  }

  /** What the badge says, and how its click is taken. */
  setStatus(status: Status, text: string): void {
    const words: Record<Status, string> = { waiting: "waiting", live: this.isFrozen ? "held" : "live", lost: "lost", ended: "ended", gone: "gone" };
    if (text !== this.statusText) {
      this.statusText = text;
      this.sum.textContent = this.summary();
    }
    this.badge.hidden = false;
    this.badge.dataset.status = this.isFrozen && status === "live" ? "held" : status;
    this.badge.textContent = words[status];
    this.badge.title = text || (this.isFrozen ? "Go on with what happens" : "Hold the page still");
    this.badge.onclick = () => {
      this.isFrozen = !this.isFrozen;
      this.setStatus(status, text);
    };
  }

  choose(conn: number): void {
    this.isChosen = true;
    this.open(conn);
  }

  /** The one of which most is told. */
  private firstOfInterest(): number {
    let best = Math.min(1, this.report.head.conns.length - 1);
    this.report.head.conns.forEach((conn, i) => {
      if (i > 0 && conn.rows > this.report.head.conns[best].rows)
        best = i;
    });
    return best;
  }

  private statusText = "";

  private summary(): string {
    const { head } = this.report, n = head.conns.length - 1;
    const parts = [...(this.statusText ? [this.statusText] : []), plural(n, "connection"), plural(head.rows, "event")];
    if (head.left_out > 0)
      parts.push(`${count(head.left_out)} more were left out`);
    const start = Number(BigInt(head.start_ns) / 1000000n);
    if (start > 1e12)
      parts.push(new Date(start).toISOString().replace("T", " ").slice(0, 19) + " UTC");
    return parts.join(" · ");
  }

  private claims(): HTMLElement | null {
    const { claims, about } = this.report.head;
    if (!about && claims.length === 0)
      return null;
    const [first, ...rest] = (about ?? "").trim().split(/\n\s*\n/);
    const words = rest.length > 0 ? el("details", {}, el("summary", {}, first), ...rest.map((text) => el("p", {}, text))) : first && el("p", {}, first);
    return el("section", { class: "claims" }, words, claims.length > 0 && el("ul", {}, ...claims.map(([holds, text]) =>
      el("li", { class: holds ? "good" : "bad" }, text))));
  }

  private toolbar(): HTMLElement {
    const button = (text: string, title: string, run: () => void): HTMLElement =>
      el("button", { type: "button", title, "aria-label": title, onclick: run }, text);
    this.play.addEventListener("click", () => this.toggle());
    this.mode.addEventListener("click", () => this.switchMode());
    this.find.addEventListener("keydown", (e) => {
      if (e.key === "Enter")
        this.search(e.shiftKey ? -1 : 1);
      else if (e.key === "Escape")
        this.find.blur();
    });
    this.find.addEventListener("input", () => (this.found.textContent = ""));
    const speed = el("select", { "aria-label": "Speed", title: "Events a second" }, ...[4, 12, 40, 200].map((n) =>
      el("option", { value: n, selected: n === this.speed ? "" : undefined }, `${n}/s`)));
    speed.addEventListener("change", () => (this.speed = Number(speed.value)));
    return el("div", { class: "toolbar" },
      el("div", { class: "group" }, button("«", "To the beginning", () => this.rewind()), button("‹", "The packet before (←)", () => this.step(-1)),
        this.play, button("›", "The packet after (→)", () => this.step(1)), speed),
      el("div", { class: "group" }, this.mode, button("−", "Zoom out (−)", () => this.diagram.zoom(0.7)),
        button("+", "Zoom in (+)", () => this.diagram.zoom(1.4)), button("Fit", "All of it (0)", () => this.diagram.fit())),
      el("div", { class: "group grow" }, this.find, this.found));
  }

  // ---- One connection ----

  open(conn: number): void {
    if (conn === 0 && this.report.head.conns.length > 1)
      conn = 1;
    this.stop();
    this.view = conn < 0 ? viewOfAll(this.report) : viewOfConn(this.report, Math.max(0, conn));
    this.list.select(conn);
    const c = this.view.conn;
    this.side = c && c.ends[1].bytes > c.ends[0].bytes ? 1 : 0;
    this.root.classList.toggle("whole", !c);
    this.diagram.setView(this.view);
    this.fillHead();
    this.fillSides();
    if (c)
      this.plots.setView(this.view, this.side);
    this.fillDetail(-1);
    if (this.root.dataset.tab === "connections" && conn !== this.firstShown)
      this.tab("diagram");
    this.firstShown = conn;
  }

  private firstShown = NaN;

  private fillHead(): void {
    const c = this.view.conn;
    if (!c) {
      this.head.replaceChildren(el("h2", {}, "All connections"), el("p", { class: "facts" },
        `${plural(this.view.columns.length, "host")} · ${duration(this.view.to - this.view.from)}`));
      return;
    }
    const ends = c.ends.map((e, i) => ({ name: endName(this.report, c, i), ...e }));
    const title = el("h2", {}, ...ends.flatMap((e, i) => [i ? el("span", { class: "arrow" }, " → ") : "",
      e.addr.startsWith(e.name) ? e.addr : e.name, !e.addr.startsWith(e.name) && el("small", {}, ` ${e.addr}`)]).filter((c) => c !== false) as (Node | string)[]);
    const fact = (name: string, value: string): HTMLElement => el("div", {}, el("dt", {}, name), el("dd", {}, value));
    const sum = (key: "again" | "lost"): number => c.ends[0][key] + c.ends[1][key];
    this.head.replaceChildren(
      el("div", { class: "title" }, title, el("p", { class: `verdict ${tone(c.verdict)}` }, c.text || "Events of no connection")),
      el("dl", { class: "facts" }, fact("Took", duration(c.ended - c.began)),
        ...ends.map((e) => fact(`${e.name} sent`, bytes(e.bytes))),
        !c.udp && fact("Sent again", count(sum("again"))), !this.report.head.one_sided && fact("Lost on the link", count(sum("lost"))),
        c.rtt > 0 && fact("Least RTT", duration(c.rtt * 1000))),
      ledger(this.report, c) ?? "");
  }

  private fillSides(): void {
    const c = this.view.conn;
    this.sides.replaceChildren(...(c ? [el("span", {}, "Sending of"), ...[0, 1].map((side) =>
      el("button", { type: "button", "aria-pressed": side === this.side, onclick: () => {
        this.side = side;
        this.fillSides();
        this.plots.setView(this.view, side);
      } }, endName(this.report, c, side))), el("button", { type: "button", class: "reset", title: "All of the time (double click)", onclick: () => this.plots.reset() }, "Fit")] : []));
  }

  private fillDetail(rank: number): void {
    if (rank < 0) {
      this.detail.hidden = true;
      return;
    }
    const row = this.view.ranked[rank];
    this.detail.hidden = false;
    this.detail.replaceChildren(
      el("div", { class: "head" }, el("b", {}, label(this.report, row)),
        el("span", {}, this.report.head.kinds[this.report.rows.kind[row]].replace("_", " ")),
        el("button", { type: "button", "aria-label": "Close", onclick: () => this.select(-1) }, "×")),
      el("dl", {}, ...facts(this.view, row).flatMap((f) => [el("dt", {}, f.name), el("dd", {}, f.value)])));
  }

  // ---- One packet ----

  select(rank: number, reveal = true): void {
    this.diagram.select(rank, reveal);
    this.fillDetail(rank);
    if (this.view.conn)
      this.plots.setCursor(rank < 0 ? NaN : (this.report.rows.at[this.view.ranked[rank]] - this.view.from) / 1e9);
  }

  private pick(seconds: number): void {
    const rank = lowerBound(this.report.rows.at, this.view.ranked, seconds * 1e9 + this.view.from);
    this.select(Math.min(rank, this.view.ranked.length - 1));
  }

  private step(by: number): void {
    this.stop();
    const from = this.diagram.selected;
    this.diagram.playhead = Infinity;
    this.select(Math.max(0, Math.min(this.view.ranked.length - 1, from < 0 ? (by > 0 ? 0 : this.view.ranked.length - 1) : from + by)));
  }

  private trouble(by: 1 | -1): void {
    const { trouble } = this.view, from = this.diagram.selected;
    const next = by > 0 ? trouble.find((r) => r > from) ?? trouble[0] : [...trouble].reverse().find((r) => r < from) ?? trouble[trouble.length - 1];
    if (next !== undefined)
      this.select(next);
  }

  private search(step: 1 | -1): void {
    const rank = search(this.view, this.find.value, this.diagram.selected, step);
    this.found.textContent = rank < 0 ? "not found" : "";
    if (rank >= 0)
      this.select(rank);
  }

  // ---- Play ----

  private toggle(): void {
    if (this.timer)
      this.stop();
    else
      this.start();
  }

  private start(): void {
    const d = this.diagram, n = this.view.ranked.length;
    if (n === 0)
      return;
    if (!isFinite(d.playhead) || d.playhead >= n - 1)
      d.playhead = d.selected >= 0 && d.selected < n - 1 ? d.selected : 0;
    let last = performance.now();
    const frame = (now: number): void => {
      d.playhead += ((now - last) / 1000) * this.speed;
      last = now;
      if (d.playhead >= n - 1) {
        d.playhead = Infinity;
        this.stop();
        d.redraw();
        return;
      }
      d.follow(d.playhead);
      if (this.view.conn)
        this.plots.setCursor((this.report.rows.at[this.view.ranked[Math.floor(d.playhead)]] - this.view.from) / 1e9);
      this.timer = requestAnimationFrame(frame);
    };
    this.timer = requestAnimationFrame(frame);
    this.play.textContent = "❚❚";
    this.play.setAttribute("aria-label", "Pause");
  }

  private stop(): void {
    cancelAnimationFrame(this.timer);
    this.timer = 0;
    this.play.textContent = "▶";
    this.play.setAttribute("aria-label", "Play");
  }

  private rewind(): void {
    this.stop();
    this.diagram.playhead = Infinity;
    this.select(0);
  }

  // ---- The page ----

  private switchMode(): void {
    const mode: Mode = this.diagram.mode === "order" ? "time" : "order";
    this.diagram.setMode(mode);
    this.mode.textContent = mode === "order" ? "By order" : "By time";
  }

  private tab(name: string): void {
    this.root.dataset.tab = name;
  }

  private theme(): void {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    this.restyle();
  }

  private restyle(): void {
    this.diagram.redraw();
    this.plots.restyle(this.side);
  }

  private fillHelp(): void {
    this.help.append(el("h2", {}, "Keys"), el("dl", {}, ...keys.flatMap(([key, what]) => [el("dt", {}, key), el("dd", {}, what)])),
      el("p", {}, "In the diagram: drag or wheel to scroll, Ctrl and wheel to zoom, two fingers likewise. In the plots: drag to move, Ctrl and wheel to zoom, " +
        "double click for all of it; a click leads to the packet."),
      el("p", {}, "To find: SYN, RST, lost, again, duplicate, a reason, #number, seq number."),
      el("form", { method: "dialog" }, el("button", {}, "Close")));
  }

  private key(e: KeyboardEvent): void {
    const target = e.target as HTMLElement;
    if (e.ctrlKey || e.metaKey || e.altKey || this.help.open || target instanceof HTMLInputElement || target instanceof HTMLSelectElement)
      return;
    if (target instanceof HTMLButtonElement && (e.key === " " || e.key === "Enter"))
      return;
    const run: Record<string, () => void> = {
      ArrowRight: () => this.step(1), ArrowLeft: () => this.step(-1), ArrowDown: () => this.diagram.pan(60), ArrowUp: () => this.diagram.pan(-60),
      PageDown: () => this.diagram.pan(500), PageUp: () => this.diagram.pan(-500), Home: () => this.diagram.pan(-1e12), End: () => this.diagram.pan(1e12),
      "[": () => this.choose(this.list.neighbour(-1)), "]": () => this.choose(this.list.neighbour(1)), " ": () => this.toggle(),
      "+": () => this.diagram.zoom(1.4), "=": () => this.diagram.zoom(1.4), "-": () => this.diagram.zoom(0.7), "0": () => this.diagram.fit(),
      "1": () => this.diagram.reset(), t: () => this.switchMode(), n: () => this.trouble(1), N: () => this.trouble(-1), d: () => this.theme(),
      "/": () => this.find.focus(), "?": () => this.help.showModal(),
      Escape: () => {
        this.stop();
        this.diagram.playhead = Infinity;
        this.select(-1);
      },
    };
    if (run[e.key]) {
      e.preventDefault();
      run[e.key]();
    }
  }
}

/** How long the page rests between two looks at what is new: as long as it has for itself, and a little. */
const REST_MS = 400;

function beginLive(): void {
  const app = document.getElementById("app")!, store = new Store();
  const { title } = JSON.parse(document.getElementById("weir-live")!.textContent ?? "{}") as { title?: string };
  let shown: App | null = null, status: Status = "waiting", text = "", isDue = false;
  document.title = `${title ?? ""} · weir`;
  const wait = (): void => app.replaceChildren(el("p", { class: "opening" }, text || "Waiting for the first packet…"));
  const draw = (): void => {
    const began = performance.now();
    isDue = false;
    if (store.isEmpty || store.all === 0)
      wait();
    else if (shown)
      shown.update(store.report());
    else
      shown = new App(store.report(), true);
    shown?.setStatus(status, text);
    rest = REST_MS + 3 * (performance.now() - began);
  };
  let rest = 0;
  wait();
  follow("events", store, (now, why) => {
    status = now;
    text = why;
    shown?.setStatus(status, text);
    if (!isDue) {
      isDue = true;
      setTimeout(draw, rest);
    }
  });
}

function begin(): void {
  if (document.getElementById("weir-live")) {
    beginLive();
    return;
  }
  if (!document.getElementById("weir-report")) {
    document.querySelector("#app")!.textContent = "There is no data in this page: weir report writes it.";
    return;
  }
  new App(reportOfPage(document));
}

begin();
