// The plots of a connection. uPlot has the axes, the cursor and the common time; the curves are drawn by us, from
// series that know their extremes (series.ts), so that a million points cost what a thousand do.
import uPlot from "uplot";
import { Mark } from "./format";
import type { View } from "./model";
import { palette, stateColour, type Palette } from "./palette";
import { changes, collect, pick, Series } from "./series";
import { bytes, duration, rate } from "./text";
import { clip, fontFamily } from "./diagram";

interface Curve {
  name: string;
  series: Series;
  colour: (p: Palette) => string;
  dash?: number[];
  width?: number;
  points?: "dot" | "bar" | "cross";
  /** Not in the y range: it would dwarf the others. */
  loose?: boolean;
}

interface Plot {
  title: string;
  hint: string;
  curves: Curve[];
  format: (v: number) => string;
  custom?: (u: uPlot, c: CanvasRenderingContext2D) => void;
  height?: number;
}

const rateBins = 160;
/* Steps of an axis of bytes: round where they are read, in KiB and MiB. */
const byteSteps = Array.from({ length: 34 }, (_, i) => 2 ** i);

export class Plots {
  onPick: (seconds: number) => void = () => {};
  private view: View | null = null;
  private plots: { plot: Plot; u: uPlot; legend: HTMLElement; line: HTMLElement; band: HTMLElement }[] = [];
  private range: [number, number] = [0, 1];
  private whole: [number, number] = [0, 1];
  private cursor = NaN;
  private seen: [number, number] = [0, 0];
  private changes: [number[], number[]] = [[], []]; // rows with changes of state, by side

  constructor(private readonly host: HTMLElement) {
    new ResizeObserver(() => this.resize()).observe(host);
  }

  /** isMore: the same connection as before, of which more is known. */
  setView(view: View, side: number, isMore = false): void {
    const isWhole = this.range[0] === this.whole[0] && this.range[1] === this.whole[1];
    const isSame = this.view === view || (isMore && !isWhole), range = this.range;
    this.view = view;
    const { kind, side: sides } = view.report.rows;
    this.changes = [[], []];
    for (const row of view.rows)
      if (kind[row] === view.report.kind.state)
        this.changes[sides[row]].push(row);
    const length = Math.max(1e-6, (view.to - view.from) / 1e9);
    this.whole = [-length * 0.01, length * 1.02];
    this.range = isSame ? range : [this.whole[0], this.whole[1]];
    this.cursor = isSame || isMore ? this.cursor : NaN;
    this.build(side);
  }

  /** Draw anew, in the colours of today. */
  restyle(side: number): void {
    if (this.view)
      this.build(side);
  }

  setCursor(seconds: number): void {
    this.cursor = seconds;
    this.place();
    this.tell();
  }

  /** What the diagram has in sight. */
  setSeen(from: number, to: number): void {
    if (this.seen[0] === from && this.seen[1] === to)
      return;
    this.seen = [from, to];
    this.place();
  }

  reset(): void {
    this.setRange(this.whole[0], this.whole[1]);
  }

  zoom(factor: number, around = (this.range[0] + this.range[1]) / 2): void {
    const [a, b] = this.range, most = this.whole[1] - this.whole[0];
    const wide = Math.min(most, Math.max(2e-6, (b - a) / factor)), part = (around - a) / (b - a);
    this.setRange(around - part * wide, around + (1 - part) * wide);
  }

  private setRange(a: number, b: number): void {
    const wide = b - a;
    if (a < this.whole[0])
      [a, b] = [this.whole[0], this.whole[0] + wide];
    if (b > this.whole[1])
      [a, b] = [Math.max(this.whole[0], this.whole[1] - wide), this.whole[1]];
    this.range = [a, b];
    for (const { u } of this.plots)
      u.setScale("x", { min: a, max: b });
    this.place();
  }

  /** The chosen time, and what the diagram has in sight: elements above the plots, so that these aren't drawn anew. */
  private place(): void {
    const [from, to] = this.seen, start = this.view?.from ?? 0;
    for (const { u, line, band } of this.plots) {
      const x = u.valToPos(this.cursor, "x"), x0 = u.valToPos((from - start) / 1e9, "x"), x1 = u.valToPos((to - start) / 1e9, "x");
      line.hidden = !(x >= 0 && x <= u.over.clientWidth);
      band.hidden = !(to > from) || x1 < 0 || x0 > u.over.clientWidth;
      line.style.transform = `translateX(${line.hidden ? 0 : x}px)`;
      band.style.left = `${Math.max(0, x0)}px`;
      band.style.width = `${Math.max(2, Math.min(u.over.clientWidth, x1) - Math.max(0, x0))}px`;
    }
  }

  private resize(): void {
    for (const { u, plot } of this.plots)
      u.setSize({ width: this.host.clientWidth, height: plot.height ?? 170 });
    this.place();
  }

  // ---- Which ----

  private build(side: number): void {
    this.plots.forEach(({ u }) => u.destroy());
    this.plots = [];
    this.host.replaceChildren();
    for (const plot of this.choose(side))
      this.add(plot);
    this.place();
    this.tell();
  }

  private choose(side: number): Plot[] {
    const view = this.view!, r = view.report.rows, k = view.report.kind, oneSided = view.report.head.one_sided;
    const mine = pick(view.rows, (row) => r.side[row] === side && r.kind[row] !== k.link && r.kind[row] !== k.drop);
    const snaps = pick(mine, (row) => r.cwnd[row] > 0 || (oneSided && (r.kind[row] === k.seg_out || r.kind[row] === k.rtt)));
    const sent = pick(mine, (row) => r.kind[row] === k.seg_out && r.len[row] > 0);
    const acks = oneSided ? pick(view.rows, (row) => r.kind[row] === k.seg_out && r.side[row] !== side && (r.flags[row] & 20) === 16)
      : pick(mine, (row) => r.kind[row] === k.seg_in && (r.flags[row] & 20) === 16);

    const windows: Curve[] = [
      { name: "in flight", series: changes(view, snaps, r.flight), colour: (p) => p.data, width: 1.5 },
      { name: "peer’s window", series: changes(view, snaps, r.snd_wnd), colour: (p) => p.control, dash: [6, 3], loose: true },
    ];
    const times: Curve[] = [
      { name: "samples", series: collect(view, pick(mine, (row) => r.kind[row] === k.rtt), (row) => r.a[row] / 1e6), colour: (p) => p.data, points: "dot" },
      { name: "smoothed", series: changes(view, snaps, r.srtt_us, 1e-6, false), colour: (p) => p.control, width: 1.5 },
    ];
    if (!oneSided) {
      windows.unshift({ name: "cwnd", series: changes(view, snaps, r.cwnd), colour: (p) => p.lost, width: 2 });
      windows.push({ name: "ssthresh", series: changes(view, snaps, r.ssthresh, 1, false), colour: (p) => p.twice, dash: [2, 3], loose: true });
      times.push({ name: "RTO", series: changes(view, snaps, r.rto_us, 1e-6, false), colour: (p) => p.lost, dash: [6, 3], loose: true });
    }
    return [
      { title: "States", hint: "of both ends", curves: [], format: () => "", height: 92, custom: (u, c) => this.drawStates(u, c) },
      this.sequence(sent, acks),
      { title: "Windows", hint: "what may be, and what is, under way", curves: windows, format: bytes },
      { title: "Round trip", hint: oneSided ? "from where the capture was made" : "samples, and the timer made of them",
        curves: times, format: (v) => duration(v * 1e9) },
      this.throughput(sent, acks),
    ];
  }

  private sequence(sent: Uint32Array, acks: Uint32Array): Plot {
    const view = this.view!, r = view.report.rows, end = (row: number): number => r.seq[row] + r.len[row];
    return {
      title: "Sequence", hint: "what was sent, and what of it was acknowledged", format: bytes, height: 220,
      curves: [
        { name: "sent", series: collect(view, pick(sent, (row) => !(r.mark[row] & Mark.Again)), end), colour: (p) => p.data, points: "bar" },
        { name: "acknowledged", series: changes(view, acks, r.ack), colour: (p) => p.control, width: 1.5 },
        { name: "may be sent", series: collect(view, acks, (row) => r.ack[row] + r.win[row]), colour: (p) => p.ack, dash: [4, 3], loose: true },
        { name: "again", series: collect(view, pick(sent, (row) => (r.mark[row] & Mark.Again) !== 0), end), colour: (p) => p.again, points: "bar", width: 3 },
        { name: "lost", series: collect(view, pick(sent, (row) => (r.mark[row] & Mark.Lost) !== 0), end), colour: (p) => p.lost, points: "cross" },
      ],
    };
  }

  /** Bytes by time: counted in as many bins as are to be told apart. */
  private throughput(sent: Uint32Array, acks: Uint32Array): Plot {
    const view = this.view!, r = view.report.rows;
    let acked = 0, total = 0;
    const sums = collect(view, sent, (row) => (total += r.len[row]));
    const goods = collect(view, acks, (row) => (acked = Math.max(acked, r.ack[row])));
    const length = (view.to - view.from) / 1e9, step = Math.max(length / rateBins, 1e-6);
    const binned = (s: Series): Series => {
      const t = new Float64Array(rateBins), v = new Float64Array(rateBins);
      for (let i = 0; i < rateBins; i++) {
        t[i] = i * step;
        v[i] = Math.max(0, ((s.at((i + 1) * step) || 0) - (s.at(i * step) || 0)) * 8) / step;
      }
      return new Series(t, v);
    };
    return {
      title: "Throughput", hint: `in steps of ${duration(step * 1e9)}`, format: rate,
      curves: [
        { name: "sent", series: binned(sums), colour: (p) => p.data, width: 1 },
        { name: "acknowledged", series: binned(goods), colour: (p) => p.control, width: 2 },
      ],
    };
  }

  // ---- Drawing ----

  private add(plot: Plot): void {
    const box = document.createElement("section"), head = document.createElement("h3"), legend = document.createElement("p");
    box.className = "plot";
    head.textContent = plot.title;
    const hint = document.createElement("small");
    hint.textContent = plot.hint;
    head.append(hint);
    legend.className = "legend";
    box.append(head, legend);
    this.host.append(box);
    const colours = palette(), axis = { stroke: colours.dim, grid: { stroke: colours.line, width: 1 },
      ticks: { stroke: colours.line, width: 1, size: 4 }, font: `11px ${fontFamily}` };
    const u = new uPlot({
      width: Math.max(200, this.host.clientWidth), height: plot.height ?? 170, legend: { show: false }, padding: [8, 10, 0, 0],
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false }, sync: { key: "weir", setSeries: false } },
      scales: {
        x: { time: false, auto: false, range: () => this.range },
        y: { auto: true, range: () => this.yRange(plot) },
      },
      axes: [
        { ...axis, size: 26, values: (_, ticks) => ticks.map((t) => duration(Math.round(t * 1e9))) },
        { ...axis, size: 74, show: true, grid: { ...axis.grid, show: plot.curves.length > 0 },
          ticks: { ...axis.ticks, show: plot.curves.length > 0 },
          ...(plot.format === bytes ? { incrs: byteSteps } : {}),
          values: (_, ticks) => ticks.map((t) => (plot.curves.length ? plot.format(t) : "")) },
      ],
      series: [{}, { show: true, paths: () => null, points: { show: false } }],
      hooks: { draw: [(self) => this.draw(self, plot)] },
    }, [[this.whole[0], this.whole[1]], [0, 1]], box);
    const line = document.createElement("div"), band = document.createElement("div");
    line.className = "chosen";
    band.className = "seen";
    u.over.append(band, line);
    this.plots.push({ plot, u, legend, line, band });
    this.listen(u);
  }

  private yRange(plot: Plot): [number, number] {
    let lo = Infinity, hi = -Infinity;
    for (const curve of plot.curves) {
      if (curve.loose || curve.series.t.length === 0)
        continue;
      const [a, b] = curve.series.range(this.range[0], this.range[1]);
      lo = Math.min(lo, a);
      hi = Math.max(hi, b);
    }
    if (hi === -Infinity)
      return [0, 1];
    if (plot.title !== "Sequence")
      lo = 0;
    const space = (hi - lo || hi || 1) * 0.08;
    return [lo === 0 ? 0 : lo - space, hi + space];
  }

  private draw(u: uPlot, plot: Plot): void {
    const c = u.ctx, { left, top, width, height } = u.bbox, colours = palette();
    c.save();
    c.beginPath();
    c.rect(left, top, width, height);
    c.clip();
    plot.custom?.(u, c);
    for (const curve of plot.curves)
      this.drawCurve(u, c, curve, colours);
    c.restore();
  }

  private drawCurve(u: uPlot, c: CanvasRenderingContext2D, curve: Curve, colours: Palette): void {
    const dpr = devicePixelRatio, [from, to] = this.range, budget = u.bbox.width * 3;
    const x = (t: number): number => u.valToPos(t, "x", true), y = (v: number): number => u.valToPos(v, "y", true);
    c.strokeStyle = c.fillStyle = curve.colour(colours);
    c.lineWidth = (curve.width ?? 1.2) * dpr;
    c.setLineDash((curve.dash ?? []).map((n) => n * dpr));
    c.beginPath();
    if (curve.points) {
      const size = (curve.points === "cross" ? 3.5 : 1.6) * dpr;
      curve.series.walk(from, to, budget, (t, lo, hi) => {
        const px = x(t), y0 = y(hi), y1 = y(lo);
        if (curve.points === "cross") {
          c.moveTo(px - size, y0 - size);
          c.lineTo(px + size, y0 + size);
          c.moveTo(px + size, y0 - size);
          c.lineTo(px - size, y0 + size);
        } else if (curve.points === "dot" && y1 - y0 < 2 * dpr) {
          c.rect(px - size / 2, y0 - size / 2, size, size);
        } else {
          c.moveTo(px, y0 - size);
          c.lineTo(px, Math.max(y1, y0 + size));
        }
      });
      if (curve.points === "dot")
        c.fill();
    } else {
      let last = NaN;
      curve.series.walk(from, to, budget, (t, lo, hi, value) => {
        const px = x(t);
        if (isNaN(last))
          c.moveTo(px, y(value));
        else
          c.lineTo(px, last);
        if (lo !== hi) {
          c.lineTo(px, y(lo));
          c.lineTo(px, y(hi));
        }
        last = y(value);
        c.lineTo(px, last);
      });
    }
    c.stroke();
    c.setLineDash([]);
  }

  private drawStates(u: uPlot, c: CanvasRenderingContext2D): void {
    const view = this.view!, { rows } = view.report, dpr = devicePixelRatio, { top, height, left, width } = u.bbox;
    const colours = palette(), half = height / 2;
    c.font = `${11 * dpr}px ${fontFamily}`;
    c.textBaseline = "middle";
    for (const side of [0, 1]) {
      const changes = this.changes[side];
      const y = top + side * half + 3 * dpr;
      changes.forEach((row, i) => {
        const name = view.report.head.states[rows.b[row]], next = changes[i + 1];
        const x0 = Math.max(left, u.valToPos((rows.at[row] - view.from) / 1e9, "x", true));
        const x1 = Math.min(left + width, next === undefined ? Infinity : u.valToPos((rows.at[next] - view.from) / 1e9, "x", true));
        if (x1 <= x0 || name === "CLOSED")
          return;
        c.fillStyle = stateColour(name);
        c.globalAlpha = 0.28;
        c.fillRect(x0, y, Math.max(1, x1 - x0), half - 6 * dpr);
        c.globalAlpha = 1;
        c.fillRect(x0, y, Math.max(1, Math.min(3 * dpr, x1 - x0)), half - 6 * dpr);
        c.fillStyle = colours.ink;
        c.textAlign = "left";
        c.fillText(clip(c, name, x1 - x0 - 10 * dpr), x0 + 7 * dpr, y + half / 2 - 3 * dpr);
      });
    }
    c.restore();
    c.save();
    c.textAlign = "right";
    c.textBaseline = "middle";
    c.font = `${11 * dpr}px ${fontFamily}`;
    c.fillStyle = colours.dim;
    view.columns.slice(0, 2).forEach((name, side) => c.fillText(clip(c, name, left - 8 * dpr), left - 8 * dpr, top + (side + 0.5) * half));
  }

  /** The legends, with the values at the cursor. */
  private tell(): void {
    const colours = palette();
    for (const { plot, legend } of this.plots) {
      legend.replaceChildren(...plot.curves.filter((curve) => curve.series.t.length > 0).map((curve) => {
        const span = document.createElement("span"), key = document.createElement("i");
        key.style.borderTop = `${Math.max(2, curve.width ?? 2)}px ${curve.dash ? "dashed" : curve.points ? "dotted" : "solid"} ${curve.colour(colours)}`;
        span.append(key, curve.name);
        const value = curve.series.at(this.cursor);
        if (!isNaN(this.cursor) && !isNaN(value) && curve.points !== "cross") {
          const b = document.createElement("b");
          b.textContent = " " + plot.format(value);
          span.append(b);
        }
        return span;
      }));
    }
  }

  // ---- Hands ----

  private listen(u: uPlot): void {
    const over = u.over, points = new Map<number, number>();
    let drag: { x: number; moved: boolean; range: [number, number] } | null = null, pinch = 0;
    const seconds = (e: MouseEvent): number => u.posToVal(e.clientX - over.getBoundingClientRect().left, "x");
    over.style.touchAction = "pan-y";
    over.addEventListener("wheel", (e) => {
      if (!e.ctrlKey && !e.metaKey && !e.shiftKey && Math.abs(e.deltaY) > Math.abs(e.deltaX))
        return; // the page scrolls
      e.preventDefault();
      const wide = this.range[1] - this.range[0];
      if (e.ctrlKey || e.metaKey) {
        this.zoom(Math.exp(-e.deltaY * 0.004), seconds(e));
      } else {
        const step = ((e.deltaX || e.deltaY) / over.clientWidth) * wide;
        this.setRange(this.range[0] + step, this.range[1] + step);
      }
    }, { passive: false });
    over.addEventListener("pointerdown", (e) => {
      points.set(e.pointerId, e.clientX);
      over.setPointerCapture(e.pointerId);
      drag = { x: e.clientX, moved: false, range: [...this.range] };
    });
    over.addEventListener("pointermove", (e) => {
      if (!drag || !points.has(e.pointerId))
        return;
      points.set(e.pointerId, e.clientX);
      if (points.size === 2) {
        const [a, b] = [...points.values()], far = Math.max(10, Math.abs(a - b));
        if (pinch > 0)
          this.zoom(far / pinch);
        pinch = far;
        drag.moved = true;
        return;
      }
      const step = ((drag.x - e.clientX) / over.clientWidth) * (drag.range[1] - drag.range[0]);
      if (Math.abs(e.clientX - drag.x) > 3)
        drag.moved = true;
      if (drag.moved)
        this.setRange(drag.range[0] + step, drag.range[1] + step);
    });
    const up = (e: PointerEvent): void => {
      points.delete(e.pointerId);
      pinch = 0;
      if (drag && !drag.moved && e.type === "pointerup")
        this.onPick(seconds(e));
      if (points.size === 0)
        drag = null;
    };
    over.addEventListener("pointerup", up);
    over.addEventListener("pointercancel", up);
    over.addEventListener("dblclick", () => this.reset());
  }
}
