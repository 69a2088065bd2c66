// A run that goes on: weir run --live tells what happens by server-sent events (the head of src/trace/report_live.c has
// the format), and this keeps the latest of it and makes a report of that, as a page of a run that is over has it.
import { fromBase64, makeRows, Reader, readReport, type Conn, type Head, type Report, type Rows } from "./format";

/** As many rows are kept, or a piece more; the oldest go. */
const ROWS_KEPT = 200_000;

interface ChunkConn extends Conn {
  id: number;
  first: number;
}

export interface Chunk {
  begin?: boolean;
  title?: string;
  start_ns?: string;
  kinds?: string[];
  states?: string[];
  causes?: string[];
  hosts?: string[];
  columns?: Head["columns"];
  rows: number;
  all: number;
  texts: string[];
  conns: ChunkConn[];
  [column: string]: unknown;
}

/** The rows of one event of the stream. */
interface Piece {
  report: Report;
  ids: number[];
  /** What has become of the row that `from` is, for each row. */
  fromMark: Uint16Array;
}

/** Where rows of a connection lie. */
interface Slice {
  piece: Piece;
  lo: number;
  hi: number;
}

const nobody: Conn = {
  verdict: "none", text: "", rows: 0, udp: false, began: 0, ended: 0, rtt: 0,
  ends: [0, 1].map(() => ({ addr: "", error: "", host: -1, iss: 0, bytes: 0, segs: 0, again: 0, lost: 0, state: 0, life: 0, spent: [] })) as unknown as Conn["ends"],
};

export class Store {
  /** Rows that there were, those included that were let go. */
  all = 0;
  private names: Omit<Head, "rows" | "conns" | "texts" | "left_out"> | null = null;
  private texts: string[] = [];
  private conns: Conn[] = [];
  private slices: Slice[][] = [];
  private next: number[] = []; // which of its rows a connection is to be told of next
  private pieces: Piece[] = [];
  private kept = 0;

  get isEmpty(): boolean {
    return this.names === null;
  }

  add(chunk: Chunk): void {
    if (chunk.begin)
      this.begin(chunk);
    if (!this.names)
      return; // its beginning was missed: the server tells anew to whoever has no place
    this.texts.push(...chunk.texts);
    this.all = chunk.all;
    for (const { id, ...conn } of chunk.conns) {
      while (this.conns.length <= id) {
        this.conns.push(nobody);
        this.slices.push([]);
        this.next.push(0);
      }
      this.conns[id] = conn.verdict === "open" ? { ...conn, text: "Open" } : conn;
    }
    if (chunk.rows > 0)
      this.addRows(chunk);
    while (this.kept > ROWS_KEPT && this.pieces.length > 1)
      this.forget();
  }

  private begin(chunk: Chunk): void {
    this.names = {
      format: 1, title: chunk.title ?? "", about: "", start_ns: chunk.start_ns ?? "0", one_sided: false, claims: [],
      kinds: chunk.kinds ?? [], states: chunk.states ?? [], causes: chunk.causes ?? [], hosts: chunk.hosts ?? [], columns: chunk.columns ?? [],
    };
    this.texts = [];
    this.conns = [];
    this.slices = [];
    this.next = [];
    this.pieces = [];
    this.kept = 0;
  }

  private addRows(chunk: Chunk): void {
    const head: Head = { ...this.names!, rows: chunk.rows, left_out: 0, texts: [], conns: chunk.conns };
    const report = readReport(head, (name) => String(chunk[name] ?? ""));
    const marks = new Reader(fromBase64(String(chunk.from_mark ?? ""))), fromMark = new Uint16Array(chunk.rows);
    for (let i = 0; i < chunk.rows; i++)
      fromMark[i] = marks.next();
    const piece: Piece = { report, ids: chunk.conns.map((c) => c.id), fromMark };
    chunk.conns.forEach((conn, i) => {
      if (conn.rows === 0)
        return;
      if (conn.first !== this.next[conn.id])
        this.slices[conn.id] = []; // some between were lost: what lies before can't be joined to it
      this.next[conn.id] = conn.first + conn.rows;
      this.slices[conn.id].push({ piece, lo: report.first[i], hi: report.first[i + 1] });
    });
    this.pieces.push(piece);
    this.kept += chunk.rows;
  }

  private forget(): void {
    const piece = this.pieces.shift()!;
    this.kept -= piece.report.head.rows;
    for (const id of piece.ids)
      this.slices[id] = this.slices[id].filter((s) => s.piece !== piece);
  }

  /** All that is kept, as a report of its own. */
  report(): Report {
    const counts = this.slices.map((slices) => slices.reduce((n, s) => n + s.hi - s.lo, 0));
    const total = counts.reduce((a, b) => a + b, 0), first = new Uint32Array(counts.length + 1);
    counts.forEach((n, i) => (first[i + 1] = first[i] + n));
    const rows = makeRows(total), sacks: Float64Array[] = [];
    let sackN = 0;
    this.slices.forEach((slices, id) => {
      let at = first[id];
      for (const { piece, lo, hi } of slices) {
        const from = piece.report.rows;
        copyColumns(rows, from, at, lo, hi);
        const sackLo = from.sackAt[lo], sackHi = from.sackAt[hi - 1] + from.sack_n[hi - 1];
        for (let i = lo; i < hi; i++)
          rows.sackAt[at + i - lo] = sackN + from.sackAt[i] - sackLo;
        sacks.push(from.sacks.subarray(2 * sackLo, 2 * sackHi));
        sackN += sackHi - sackLo;
        settle(rows, first[id], at, at + hi - lo, piece.fromMark, lo);
        at += hi - lo;
      }
    });
    rows.sacks = new Float64Array(2 * sackN);
    let at = 0;
    for (const s of sacks) {
      rows.sacks.set(s, at);
      at += s.length;
    }
    const conns = this.conns.map((conn, i) => ({ ...conn, rows: counts[i] }));
    const kind: Record<string, number> = {};
    this.names!.kinds.forEach((name, i) => (kind[name] = i));
    return { head: { ...this.names!, texts: this.texts, conns, rows: total, left_out: this.all - total }, rows, first, kind };
  }
}

function copyColumns(to: Rows, from: Rows, at: number, lo: number, hi: number): void {
  const target = to as unknown as Record<string, Uint32Array>, source = from as unknown as Record<string, Uint32Array>;
  for (const name of Object.keys(source))
    if (name !== "sacks" && name !== "sackAt")
      target[name].set(source[name].subarray(lo, hi), at);
}

/** Time does not run backwards within a connection; a sender that was let go is none; and what became of those that are there. */
function settle(rows: Rows, first: number, lo: number, hi: number, marks: Uint16Array, markAt: number): void {
  for (let i = lo; i < hi; i++) {
    if (i > first && rows.at[i] < rows.at[i - 1])
      rows.at[i] = rows.at[i - 1];
    const back = rows.from[i];
    if (back > i - first)
      rows.from[i] = 0;
    else if (back > 0)
      rows.mark[i - back] |= marks[markAt + i - lo];
  }
}

export type Status = "waiting" | "live" | "lost" | "ended" | "gone";

/** Follow a run: `onChange` when there is something new, or the status is another. */
export function follow(url: string, store: Store, onChange: (status: Status, text: string) => void): void {
  const source = new EventSource(url);
  source.onopen = () => onChange(store.isEmpty ? "waiting" : "live", "");
  source.onmessage = (e: MessageEvent<string>) => {
    store.add(JSON.parse(e.data) as Chunk);
    onChange("live", "");
  };
  source.addEventListener("end", (e: MessageEvent<string>) => {
    source.close();
    onChange("ended", e.data);
  });
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED)
      onChange("gone", "It can’t be reached any more.");
    else
      onChange("lost", "The connection was lost; trying again.");
  };
}
