// The sequence diagram, on a canvas: only what is in sight is drawn, and less than all of it where more would not be
// seen apart, so a million events scroll as ten do.
import { Flag, Mark } from "./format";
import { columnOf, label, peerColumn, remark, type View } from "./model";
import { palette, stateColour, type Palette } from "./palette";
import { duration, stamp } from "./text";

export type Mode = "order" | "time";

interface Hit {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
  rank: number;
}

interface Layout {
  width: number;
  height: number;
  left: number; // where the first column stands
  right: number;
  time: number; // width of the times
  map: number; // where the map begins
  narrow: boolean;
}

const MAP_WIDTH = 14, HEADER = 30, PITCH = 22, FONT = 12;

export class Diagram {
  mode: Mode = "order";
  selected = -1;
  /** What has happened so far, in ranks; Infinity: all. */
  playhead = Infinity;
  onSelect: (rank: number) => void = () => {};
  onScroll: (from: number, to: number) => void = () => {};

  private view: View | null = null;
  private scale = PITCH; // pixels a rank, or a nanosecond
  private scroll = 0;
  private hover = -1;
  private hits: Hit[] = [];
  private quiet = 1; // how strong the lines are that aren't chosen
  private states: { rank: number; state: number }[][] = [];
  private pending = false;
  private readonly canvas = document.createElement("canvas");
  private readonly tip = document.createElement("div");

  constructor(private readonly host: HTMLElement) {
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", "Sequence diagram");
    this.tip.className = "tip";
    this.tip.hidden = true;
    host.append(this.canvas, this.tip);
    new ResizeObserver(() => this.redraw()).observe(host);
    this.listen();
  }

  // ---- What is shown ----

  setView(view: View): void {
    this.load(view);
    this.selected = -1;
    this.playhead = Infinity;
    this.scroll = 0;
    this.reset();
  }

  /** The same connection, of which more is known now: who looks at its end stays there, and who looks at something else there. */
  update(view: View): void {
    const old = this.view, isAtEnd = this.isAtEnd(), isFitted = old !== null && this.scale === this.fitScale();
    const key = (v: View, rank: number): string => `${v.report.rows.host[v.ranked[rank]]} ${v.report.rows.num[v.ranked[rank]]}`;
    const find = (rank: number): number => {
      if (!old || rank < 0 || rank >= old.ranked.length)
        return -1;
      const wanted = key(old, rank);
      for (let i = Math.min(rank, view.ranked.length - 1); i >= 0; i--) // it can only have moved to the front
        if (key(view, i) === wanted)
          return i;
      return -1;
    };
    const top = old ? Math.max(0, Math.floor(this.rankAt(Math.max(0, this.scroll)))) : 0, moved = find(top);
    const selected = find(this.selected), shift = moved >= 0 ? this.yOf(top) : NaN;
    this.load(view);
    this.selected = selected;
    if (isFitted)
      this.scale = this.fitScale();
    if (isAtEnd)
      this.scroll = Infinity;
    else if (!Number.isNaN(shift))
      this.scroll += this.yOf(moved) - shift;
    this.clamp();
    this.redraw();
  }

  /** Show what came last. */
  toEnd(): void {
    this.scroll = Infinity;
    this.clamp();
    this.redraw();
  }

  private isAtEnd(): boolean {
    const last = this.view && this.view.ranked.length ? this.yOf(this.view.ranked.length - 1) + 40 : 0;
    return this.scroll >= last - this.bodyHeight() - 2 * PITCH;
  }

  private load(view: View): void {
    this.view = view;
    this.hover = -1;
    this.states = view.columns.map(() => []);
    const { kind, b } = view.report.rows;
    view.ranked.forEach((row, rank) => {
      const column = columnOf(view, row);
      if (view.conn && kind[row] === view.report.kind.state && column >= 0)
        this.states[column].push({ rank, state: b[row] });
    });
  }

  setMode(mode: Mode): void {
    const rank = Math.round(this.rankAt(this.scroll + this.bodyHeight() / 2));
    this.mode = mode;
    this.reset();
    this.centre(rank);
  }

  /** The zoom in which lines can be read; in time, all of it. */
  reset(): void {
    const view = this.view;
    if (!view)
      return;
    this.scale = this.mode === "order" ? PITCH : this.fitScale();
    this.clamp();
    this.redraw();
  }

  fit(): void {
    this.scale = this.fitScale();
    this.scroll = 0;
    this.redraw();
  }

  zoom(factor: number, y = this.bodyHeight() / 2): void {
    const place = (this.scroll + y) / this.scale, least = Math.min(this.fitScale(), PITCH);
    const most = this.mode === "order" ? 60 : 0.1;
    this.scale = Math.min(most, Math.max(least, this.scale * factor));
    this.scroll = place * this.scale - y;
    this.clamp();
    this.redraw();
  }

  pan(dy: number): void {
    this.scroll += dy;
    this.clamp();
    this.redraw();
  }

  select(rank: number, reveal = true): void {
    this.selected = rank;
    if (reveal && rank >= 0) {
      const y = this.yOf(rank) - this.scroll, h = this.bodyHeight();
      if (y < 40 || y > h - 40)
        this.centre(rank);
    }
    this.redraw();
  }

  follow(rank: number): void {
    const y = this.yOf(rank), h = this.bodyHeight();
    if (y - this.scroll > h * 0.7 || y < this.scroll)
      this.scroll = y - h * 0.7;
    this.clamp();
    this.redraw();
  }

  private centre(rank: number): void {
    this.scroll = this.yOf(rank) - this.bodyHeight() / 2;
    this.clamp();
    this.redraw();
  }

  // ---- Where things are ----

  private bodyHeight(): number {
    return Math.max(50, this.host.clientHeight - HEADER);
  }

  private span(): number {
    const view = this.view!;
    return this.mode === "order" ? Math.max(1, view.ranked.length) : Math.max(1, view.to - view.from);
  }

  private fitScale(): number {
    return (this.bodyHeight() - 40) / this.span();
  }

  private clamp(): void {
    const last = this.view && this.view.ranked.length ? this.yOf(this.view.ranked.length - 1) + 40 : 0;
    this.scroll = Math.max(-12, Math.min(this.scroll, last - this.bodyHeight()));
    if (last < this.bodyHeight())
      this.scroll = -12;
  }

  private yOf(rank: number): number {
    const view = this.view!;
    if (this.mode === "order")
      return (rank + 0.5) * this.scale;
    const low = view.ranked[Math.max(0, Math.min(view.ranked.length - 1, Math.floor(rank)))];
    const high = view.ranked[Math.max(0, Math.min(view.ranked.length - 1, Math.ceil(rank)))];
    const at = view.report.rows.at, part = rank - Math.floor(rank);
    return (at[low] + (at[high] - at[low]) * part - view.from) * this.scale;
  }

  private rankAt(y: number): number {
    const view = this.view!;
    if (this.mode === "order")
      return y / this.scale - 0.5;
    const t = y / this.scale + view.from, at = view.report.rows.at;
    let lo = 0, hi = view.ranked.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (at[view.ranked[mid]] < t)
        lo = mid + 1;
      else
        hi = mid;
    }
    return lo;
  }

  private layout(): Layout {
    const width = this.host.clientWidth, height = this.host.clientHeight, narrow = width < 540;
    const time = narrow ? 54 : 84, map = width - MAP_WIDTH;
    const text = this.view && this.view.columns.length > 2 ? 70 : narrow ? (width < 420 ? 94 : 112) : Math.min(250, Math.max(116, (width - 260) / 3));
    return { width, height, time, map, narrow, left: time + text, right: map - 8 - text };
  }

  private columnX(layout: Layout, column: number): number {
    const n = this.view!.columns.length;
    return n < 2 ? layout.left : layout.left + ((layout.right - layout.left) * column) / (n - 1);
  }

  // ---- Drawing ----

  redraw(): void {
    if (this.pending)
      return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.draw();
    });
  }

  private draw(): void {
    const layout = this.layout(), dpr = window.devicePixelRatio || 1, c = this.canvas.getContext("2d");
    if (!c || !this.view || layout.width < 50)
      return;
    if (this.canvas.width !== Math.round(layout.width * dpr) || this.canvas.height !== Math.round(layout.height * dpr)) {
      this.canvas.width = Math.round(layout.width * dpr);
      this.canvas.height = Math.round(layout.height * dpr);
    }
    const colours = palette();
    c.setTransform(dpr, 0, 0, dpr, 0, 0);
    c.fillStyle = colours.paper;
    c.fillRect(0, 0, layout.width, layout.height);
    c.save();
    c.beginPath();
    c.rect(0, HEADER, layout.width, layout.height - HEADER);
    c.clip();
    c.translate(0, HEADER);
    this.drawColumns(c, layout, colours);
    this.drawRows(c, layout, colours);
    this.drawPlayhead(c, layout, colours);
    this.drawMap(c, layout, colours);
    c.restore();
    this.drawHeader(c, layout, colours);
    const view = this.view, top = view.ranked[Math.max(0, Math.min(view.ranked.length - 1, Math.floor(this.rankAt(this.scroll))))];
    const bottom = view.ranked[Math.max(0, Math.min(view.ranked.length - 1, Math.ceil(this.rankAt(this.scroll + this.bodyHeight()))))];
    if (top !== undefined && bottom !== undefined)
      this.onScroll(view.report.rows.at[top], view.report.rows.at[bottom]);
  }

  private drawHeader(c: CanvasRenderingContext2D, layout: Layout, colours: Palette): void {
    c.fillStyle = colours.paper;
    c.fillRect(0, 0, layout.width, HEADER);
    c.fillStyle = colours.ink;
    c.font = `600 ${FONT + 1}px ${fontFamily}`;
    c.textBaseline = "middle";
    this.view!.columns.forEach((name, i) => {
      c.textAlign = "center";
      const x = this.columnX(layout, i), half = c.measureText(name).width / 2;
      c.fillText(name, Math.max(half + 4, Math.min(layout.map - half - 4, x)), HEADER / 2);
    });
    c.strokeStyle = colours.line;
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(0, HEADER - 0.5);
    c.lineTo(layout.width, HEADER - 0.5);
    c.stroke();
  }

  private drawColumns(c: CanvasRenderingContext2D, layout: Layout, colours: Palette): void {
    const h = this.bodyHeight();
    this.view!.columns.forEach((_, i) => {
      const x = this.columnX(layout, i);
      c.fillStyle = colours.line;
      c.fillRect(x - 1, 0, 2, h);
      const changes = this.states[i];
      let from = 0;
      for (let lo = 0, hi = changes.length; lo < hi;) { // the last change above
        const mid = (lo + hi) >> 1;
        if (this.yOf(changes[mid].rank) < this.scroll)
          from = lo = mid + 1;
        else
          hi = mid;
      }
      for (let k = Math.max(0, from - 1); k < changes.length; k++) {
        const y0 = this.yOf(changes[k].rank) - this.scroll;
        const y1 = k + 1 < changes.length ? this.yOf(changes[k + 1].rank) - this.scroll : h;
        const name = this.view!.report.head.states[changes[k].state];
        if (y0 > h)
          break;
        if (name === "CLOSED" || name === "LISTEN")
          continue;
        c.fillStyle = stateColour(name);
        c.globalAlpha = this.playhead < changes[k].rank ? 0.12 : 1;
        c.fillRect(x - 3, Math.max(-5, y0), 6, Math.min(h + 5, y1) - Math.max(-5, y0));
        c.globalAlpha = 1;
      }
    });
  }

  private drawRows(c: CanvasRenderingContext2D, layout: Layout, colours: Palette): void {
    const view = this.view!, n = view.ranked.length, h = this.bodyHeight();
    const first = Math.max(0, Math.floor(this.rankAt(this.scroll)) - 1);
    const last = Math.min(n - 1, Math.ceil(this.rankAt(this.scroll + h)) + 1);
    const budget = Math.max(400, h * 3), stride = Math.max(1, Math.ceil((last - first + 1) / budget));
    const drawn = { x: -1e9, left: -1e9, right: -1e9, time: -1e9 };
    this.hits = [];
    c.font = `${FONT}px ${fontFamily}`;
    c.globalAlpha = stride > 1 ? 0.55 : 1;
    this.quiet = stride === 1 && (this.selected >= first && this.selected <= last) ? 0.4 : c.globalAlpha;
    for (let rank = first; rank <= last; rank += stride)
      this.drawRow(c, layout, colours, rank, drawn, stride === 1);
    c.globalAlpha = 1;
    if (stride === 1) { // what is under way across what is in sight
      for (let rank = last + 1, end = Math.min(n, last + 3000); rank < end; rank++)
        if (view.report.rows.from[view.ranked[rank]] > 0)
          this.drawRow(c, layout, colours, rank, drawn, false);
      return;
    }
    const trouble = view.trouble;
    let at = 0;
    for (let lo = 0, hi = trouble.length; lo < hi;) {
      const mid = (lo + hi) >> 1;
      if (trouble[mid] < first)
        at = lo = mid + 1;
      else
        hi = mid;
    }
    let end = at;
    while (end < trouble.length && trouble[end] <= last)
      end++;
    for (let i = at, step = Math.max(1, Math.ceil((end - at) / budget)); i < end; i += step)
      this.drawRow(c, layout, colours, trouble[i], drawn, false);
  }

  private style(row: number, colours: Palette): { colour: string; width: number; dash: number[] } {
    const { rows } = this.view!.report, mark = rows.mark[row], flags = rows.flags[row];
    if (flags & Flag.RST)
      return { colour: colours.reset, width: 2, dash: [] };
    if (mark & Mark.Again)
      return { colour: colours.again, width: 2, dash: [7, 3] };
    if (flags & (Flag.SYN | Flag.FIN))
      return { colour: colours.control, width: 2, dash: [] };
    if (rows.len[row] > 0)
      return { colour: colours.data, width: 1.5, dash: [] };
    return { colour: colours.ack, width: 1, dash: [] };
  }

  private drawRow(c: CanvasRenderingContext2D, layout: Layout, colours: Palette, rank: number,
                  drawn: { left: number; right: number; time: number }, withText: boolean): void {
    const view = this.view!, row = view.ranked[rank], { rows, kind: k } = view.report, kind = rows.kind[row];
    const column = columnOf(view, row), y = this.yOf(rank) - this.scroll;
    if (column < 0 || rank > this.playhead)
      return;
    const x = this.columnX(layout, column);
    if (rows.from[row] > 0 && (kind === k.seg_in || kind === k.drop || kind === k.dgram_in))
      this.drawArrival(c, layout, colours, row, rank, x, y);
    else if (kind === k.seg_out || kind === k.dgram_out)
      this.drawDeparture(c, layout, colours, row, rank, x, y);
    else if (kind === k.seg_in || kind === k.dgram_in)
      this.drawUnsent(c, layout, colours, row, rank, x, y);
    if (withText)
      this.drawText(c, layout, colours, row, rank, column, x, y, drawn);
  }

  private drawArrow(c: CanvasRenderingContext2D, style: { colour: string; width: number; dash: number[] },
                    x0: number, y0: number, x1: number, y1: number, head: boolean, loud: boolean): void {
    const big = this.mode === "time" || this.scale > 5;
    const alpha = c.globalAlpha;
    c.globalAlpha = loud ? 1 : this.quiet;
    c.strokeStyle = c.fillStyle = style.colour;
    c.lineWidth = style.width;
    c.setLineDash(big ? style.dash : []);
    c.beginPath();
    c.moveTo(x0, y0);
    c.lineTo(x1, y1);
    c.stroke();
    c.setLineDash([]);
    if (!head || !big) {
      c.globalAlpha = alpha;
      return;
    }
    const angle = Math.atan2(y1 - y0, x1 - x0), size = 7;
    c.beginPath();
    c.moveTo(x1, y1);
    c.lineTo(x1 - size * Math.cos(angle - 0.4), y1 - size * Math.sin(angle - 0.4));
    c.lineTo(x1 - size * Math.cos(angle + 0.4), y1 - size * Math.sin(angle + 0.4));
    c.fill();
    c.globalAlpha = alpha;
  }

  private emphasise(c: CanvasRenderingContext2D, colours: Palette, rank: number, other: number,
                    x0: number, y0: number, x1: number, y1: number): boolean {
    this.hits.push({ x0, y0, x1, y1, rank });
    const chosen = this.selected >= 0 && (rank === this.selected || other === this.selected);
    if (!chosen && rank !== this.hover)
      return false;
    c.save();
    c.strokeStyle = colours.accent;
    c.globalAlpha = chosen ? 0.28 : 0.16;
    c.lineWidth = 9;
    c.lineCap = "round";
    c.beginPath();
    c.moveTo(x0, y0);
    c.lineTo(x1, y1);
    c.stroke();
    c.restore();
    return true;
  }

  /** From where it was sent to where it arrived. */
  private drawArrival(c: CanvasRenderingContext2D, layout: Layout, colours: Palette, row: number, rank: number,
                      x: number, y: number): void {
    const view = this.view!, rows = view.report.rows, sent = row - rows.from[row];
    const sentRank = view.rank[sent - view.base], column = columnOf(view, sent);
    if (sentRank < 0 || column < 0)
      return;
    const x0 = this.columnX(layout, column), y0 = this.yOf(sentRank) - this.scroll, style = this.style(sent, colours);
    const gap = x > x0 ? -4 : 4, refused = rows.kind[row] === view.report.kind.drop;
    const loud = this.emphasise(c, colours, rank, sentRank, x0, y0, x, y);
    if (refused)
      style.colour = colours.lost;
    this.drawArrow(c, style, x0 - gap, y0, x + gap, y, !refused, loud);
    if (refused)
      this.drawCross(c, colours, x + 3 * gap, y);
    if (rows.mark[row] & Mark.Needless) {
      c.strokeStyle = colours.twice;
      c.lineWidth = 2;
      c.beginPath();
      c.arc(x + 3.2 * gap, y, 5, 0, 7);
      c.stroke();
    }
  }

  private drawCross(c: CanvasRenderingContext2D, colours: Palette, x: number, y: number): void {
    const r = this.mode === "order" && this.scale < 8 ? 3 : 5.5;
    c.strokeStyle = colours.lost;
    c.lineWidth = 2.4;
    c.beginPath();
    c.moveTo(x - r, y - r);
    c.lineTo(x + r, y + r);
    c.moveTo(x + r, y - r);
    c.lineTo(x - r, y + r);
    c.stroke();
  }

  /** What did not arrive: lost ones end in a cross, those of which nothing is known fade. */
  private drawDeparture(c: CanvasRenderingContext2D, layout: Layout, colours: Palette, row: number, rank: number,
                        x: number, y: number): void {
    const view = this.view!, mark = view.report.rows.mark[row], style = this.style(row, colours);
    const peer = peerColumn(view, row), oneSided = view.report.head.one_sided;
    const arrives = mark & Mark.Arrived || (mark & Mark.Refused && !(mark & Mark.Lost));
    const x1 = peer >= 0 ? this.columnX(layout, peer) : x + (x < layout.width / 2 ? 60 : -60);
    if ((arrives && !(mark & Mark.Lost)) || x1 === x)
      return;
    const gap = x1 > x ? 4 : -4;
    if (mark & Mark.Lost) {
      const drop = this.mode === "order" ? Math.min(this.scale * 0.8, 16) : 5;
      const xe = x + (x1 - x) * 0.62;
      const loud = this.emphasise(c, colours, rank, rank, x, y, xe, y + drop);
      this.drawArrow(c, { ...style, colour: colours.lost }, x + gap, y, xe, y + drop, false, loud);
      this.drawCross(c, colours, xe, y + drop);
    } else if (oneSided) {
      const loud = this.emphasise(c, colours, rank, rank, x, y, x1, y);
      this.drawArrow(c, style, x + gap, y, x1 - gap, y, true, loud);
    } else {
      const xe = x + (x1 - x) * 0.45, fade = c.createLinearGradient(x, 0, xe, 0);
      fade.addColorStop(0, style.colour);
      fade.addColorStop(1, "transparent");
      this.emphasise(c, colours, rank, rank, x, y, xe, y);
      c.strokeStyle = fade;
      c.lineWidth = style.width;
      c.beginPath();
      c.moveTo(x + gap, y);
      c.lineTo(xe, y);
      c.stroke();
    }
  }

  /** Something arrived that no host of the run sent. */
  private drawUnsent(c: CanvasRenderingContext2D, layout: Layout, colours: Palette, row: number, rank: number,
                     x: number, y: number): void {
    const peer = peerColumn(this.view!, row), x1 = peer >= 0 ? this.columnX(layout, peer) : x < layout.width / 2 ? x + 60 : x - 60;
    const x0 = x + (x1 - x) * 0.4;
    const loud = this.emphasise(c, colours, rank, rank, x0, y, x, y);
    this.drawArrow(c, this.style(row, colours), x0, y, x + (x1 > x ? 4 : -4), y, true, loud);
  }

  private drawText(c: CanvasRenderingContext2D, layout: Layout, colours: Palette, row: number, rank: number,
                   column: number, x: number, y: number, drawn: { left: number; right: number; time: number }): void {
    const view = this.view!, { rows, kind: k } = view.report, kind = rows.kind[row];
    const many = view.columns.length > 2, isLeft = column === 0, side = isLeft ? "left" : "right";
    c.textBaseline = "middle";
    if (y - drawn.time >= FONT + 3) {
      c.textAlign = "right";
      c.fillStyle = rank === this.selected ? colours.accent : colours.faint;
      c.font = `${FONT - 1}px ${monoFamily}`;
      const t = rows.at[row] - view.from;
      c.fillText(layout.narrow ? (t / 1e9).toFixed(t < 1e11 ? 4 : 2) : stamp(t), layout.time - 8, y);
      drawn.time = y;
    }
    if (many) {
      this.drawBeside(c, layout, colours, row, x, y);
      return;
    }
    if (y - drawn[side] < FONT + 3)
      return;
    const isState = kind === k.state;
    const arrived = kind === k.seg_in || kind === k.dgram_in;
    const main = arrived && rows.from[row] > 0 ? "" : label(view.report, row), more = remark(view.report, row);
    if (!main && !more)
      return;
    drawn[side] = y;
    const room = isLeft ? x - layout.time - 11 : layout.map - x - 14, at = isLeft ? x - 9 : x + 9, sign = isLeft ? -1 : 1;
    c.textAlign = isLeft ? "right" : "left";
    c.font = isState ? `600 ${FONT - 1}px ${fontFamily}` : `${FONT}px ${fontFamily}`;
    c.fillStyle = isState ? colours.ink : kind === k.timer || kind === k.drop ? colours.lost : colours.ink;
    const shown = clip(c, main, room), used = shown ? c.measureText(shown).width : 0;
    c.fillText(shown, at, y);
    if (more && room - used > 40) {
      c.fillStyle = rows.mark[row] & Mark.Lost ? colours.lost : rows.mark[row] & Mark.Again ? colours.again
        : rows.mark[row] & Mark.Needless ? colours.twice : colours.dim;
      c.font = `${FONT - 1}px ${fontFamily}`;
      c.fillText(clip(c, more, room - used - 8), at + sign * (used + (used ? 8 : 0)), y);
    }
  }

  /** With several hosts there are no margins for it: the text stands at the beginning of the line, above it. */
  private drawBeside(c: CanvasRenderingContext2D, layout: Layout, colours: Palette, row: number, x: number, y: number): void {
    const view = this.view!, { rows, kind: k } = view.report, peer = peerColumn(view, row);
    const gap = (layout.right - layout.left) / (view.columns.length - 1);
    if (this.mode !== "order" || this.scale < 14 || gap < 90 || (rows.from[row] > 0 && rows.kind[row] !== k.drop))
      return;
    const toRight = peer < 0 ? x < layout.width / 2 : this.columnX(layout, peer) > x;
    c.font = rows.kind[row] === k.state ? `600 ${FONT - 1}px ${fontFamily}` : `${FONT - 1}px ${fontFamily}`;
    c.textAlign = toRight ? "left" : "right";
    const text = clip(c, label(view.report, row), Math.min(gap - 24, 170)), at = x + (toRight ? 10 : -10);
    c.lineWidth = 4;
    c.strokeStyle = colours.halo;
    c.strokeText(text, at, y - 8);
    c.fillStyle = colours.ink;
    c.fillText(text, at, y - 8);
  }

  private drawPlayhead(c: CanvasRenderingContext2D, layout: Layout, colours: Palette): void {
    if (!isFinite(this.playhead))
      return;
    const y = this.yOf(this.playhead) - this.scroll;
    c.fillStyle = colours.accent;
    c.fillRect(0, y, layout.map, 1);
  }

  /** All of it, small, at the right: where trouble is, and what is in sight. */
  private drawMap(c: CanvasRenderingContext2D, layout: Layout, colours: Palette): void {
    const view = this.view!, h = this.bodyHeight(), total = this.yOf(Math.max(0, view.ranked.length - 1)) + 40;
    c.fillStyle = colours.line;
    c.fillRect(layout.map, 0, MAP_WIDTH, h);
    const pixels = new Uint8Array(Math.ceil(h) + 1), { mark, kind, flags } = view.report.rows;
    for (const rank of view.trouble) {
      const row = view.ranked[rank], y = Math.floor((this.yOf(rank) / total) * h);
      const level = mark[row] & Mark.Lost || kind[row] === view.report.kind.drop ? 3 : flags[row] & Flag.RST ? 4
        : mark[row] & Mark.Again ? 2 : 1;
      if (level > pixels[y])
        pixels[y] = level;
    }
    const inks = ["", colours.twice, colours.again, colours.lost, colours.reset];
    pixels.forEach((level, y) => {
      if (level === 0)
        return;
      c.fillStyle = inks[level];
      c.fillRect(layout.map + 3, y, MAP_WIDTH - 6, 1.5);
    });
    const top = (Math.max(0, this.scroll) / total) * h, size = Math.max(16, (h / total) * h);
    if (total <= h)
      return;
    c.fillStyle = colours.dim;
    c.globalAlpha = 0.25;
    c.fillRect(layout.map, Math.min(top, h - size), MAP_WIDTH, size);
    c.globalAlpha = 1;
  }

  // ---- Hands ----

  private hitAt(x: number, y: number): number {
    let best = 7, found = -1;
    for (const hit of this.hits) {
      const dx = hit.x1 - hit.x0, dy = hit.y1 - hit.y0, square = dx * dx + dy * dy || 1;
      const part = Math.max(0, Math.min(1, ((x - hit.x0) * dx + (y - hit.y0) * dy) / square));
      const far = Math.hypot(x - hit.x0 - part * dx, y - hit.y0 - part * dy);
      if (far < best) {
        best = far;
        found = hit.rank;
      }
    }
    const layout = this.layout();
    if (found < 0 && this.view && (x < layout.left || x > layout.right)) {
      const rank = Math.round(this.rankAt(y + this.scroll));
      if (rank >= 0 && rank < this.view.ranked.length && Math.abs(this.yOf(rank) - this.scroll - y) < 10)
        found = rank;
    }
    return found;
  }

  private showTip(x: number, y: number): void {
    const view = this.view;
    if (!view || this.hover < 0) {
      this.tip.hidden = true;
      return;
    }
    const { rows, kind } = view.report, row = view.ranked[this.hover];
    const arrived = rows.from[row] > 0, sent = arrived ? row - rows.from[row] : row;
    const lines = [label(view.report, sent), remark(view.report, sent)];
    const reason = view.report.head.texts[rows.text[sent]];
    if (reason && !lines[1].includes(reason))
      lines.splice(1, 0, reason);
    if (rows.kind[sent] === kind.seg_out || rows.kind[sent] === kind.seg_in)
      lines.push(`seq ${rows.seq[sent]}, ack ${rows.ack[sent]}, window ${rows.win[sent]}`);
    lines.push(arrived ? `${stamp(rows.at[sent] - view.from)} s, under way for ${duration(rows.at[row] - rows.at[sent])}`
      : `${stamp(rows.at[row] - view.from)} s`);
    if (rows.cwnd[sent])
      lines.push(`cwnd ${rows.cwnd[sent]}, in flight ${rows.flight[sent]}`);
    this.tip.replaceChildren(...lines.filter(Boolean).map((line, i) => {
      const p = document.createElement(i === 0 ? "b" : "div");
      p.textContent = line;
      return p;
    }));
    this.tip.hidden = false;
    const w = this.tip.offsetWidth, h = this.tip.offsetHeight;
    this.tip.style.left = `${Math.max(4, Math.min(this.host.clientWidth - w - 4, x + 14))}px`;
    this.tip.style.top = `${y + h + 24 > this.host.clientHeight ? y - h - 10 : y + 16}px`;
  }

  private listen(): void {
    const touches = new Map<number, { x: number; y: number }>();
    let drag: { y: number; moved: boolean; map: boolean } | null = null, pinch = 0;
    const place = (e: MouseEvent): { x: number; y: number } => {
      const box = this.canvas.getBoundingClientRect();
      return { x: e.clientX - box.left, y: e.clientY - box.top };
    };
    const toMap = (y: number): void => {
      const view = this.view;
      if (!view)
        return;
      const h = this.bodyHeight(), total = this.yOf(Math.max(0, view.ranked.length - 1)) + 40;
      this.scroll = ((y - HEADER) / h) * total - h / 2;
      this.clamp();
      this.redraw();
    };
    this.canvas.addEventListener("wheel", (e) => {
      e.preventDefault();
      if (e.ctrlKey || e.metaKey)
        this.zoom(Math.exp(-e.deltaY * 0.004), place(e).y - HEADER);
      else
        this.pan(e.deltaMode === 1 ? e.deltaY * 20 : e.deltaY);
    }, { passive: false });
    this.canvas.addEventListener("pointerdown", (e) => {
      const at = place(e);
      this.canvas.setPointerCapture(e.pointerId);
      touches.set(e.pointerId, at);
      drag = { y: at.y, moved: false, map: at.x >= this.layout().map };
      if (drag.map)
        toMap(at.y);
    });
    this.canvas.addEventListener("pointermove", (e) => {
      const at = place(e);
      if (touches.has(e.pointerId))
        touches.set(e.pointerId, at);
      if (touches.size === 2) {
        const [a, b] = [...touches.values()], far = Math.hypot(a.x - b.x, a.y - b.y);
        if (pinch > 0)
          this.zoom(far / pinch, (a.y + b.y) / 2 - HEADER);
        pinch = far;
        if (drag)
          drag.moved = true;
        return;
      }
      if (drag?.map) {
        toMap(at.y);
      } else if (drag) {
        if (Math.abs(at.y - drag.y) > 3 || drag.moved) {
          this.pan(drag.y - at.y);
          drag.y = at.y;
          drag.moved = true;
        }
      } else {
        const hover = this.hitAt(at.x, at.y - HEADER);
        if (hover !== this.hover) {
          this.hover = hover;
          this.redraw();
        }
        this.canvas.style.cursor = hover >= 0 ? "pointer" : "";
        this.showTip(at.x, at.y);
      }
    });
    const up = (e: PointerEvent): void => {
      const at = place(e);
      touches.delete(e.pointerId);
      pinch = 0;
      if (drag && !drag.moved && !drag.map && e.type === "pointerup") {
        const rank = this.hitAt(at.x, at.y - HEADER);
        if (rank >= 0)
          this.onSelect(rank);
      }
      if (touches.size === 0)
        drag = null;
    };
    this.canvas.addEventListener("pointerup", up);
    this.canvas.addEventListener("pointercancel", up);
    this.canvas.addEventListener("pointerleave", () => {
      this.hover = -1;
      this.tip.hidden = true;
      this.redraw();
    });
  }
}

export const fontFamily = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
export const monoFamily = 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace';

/** As much of a text as fits. */
export function clip(c: CanvasRenderingContext2D, text: string, room: number): string {
  if (room <= 8 || !text)
    return "";
  if (c.measureText(text).width <= room)
    return text;
  let lo = 0, hi = text.length;
  while (lo < hi) {
    const mid = (lo + hi + 1) >> 1;
    if (c.measureText(text.slice(0, mid) + "…").width <= room)
      lo = mid;
    else
      hi = mid - 1;
  }
  return lo > 0 ? text.slice(0, lo) + "…" : "";
}
