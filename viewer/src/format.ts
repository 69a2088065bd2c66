// Reads what src/trace/report_write.c put into the page; the head of that file has the format.

export interface End {
  addr: string;
  error: string;
  host: number;
  iss: number;
  bytes: number;
  segs: number;
  again: number;
  lost: number;
  state: number;
  life: number;
  spent: [cause: number, ns: number][];
}

export interface Conn {
  verdict: string;
  text: string;
  rows: number;
  udp: boolean;
  began: number;
  ended: number;
  rtt: number;
  ends: [End, End];
}

export interface Head {
  format: number;
  title: string;
  about: string;
  start_ns: string;
  one_sided: boolean;
  left_out: number;
  rows: number;
  kinds: string[];
  states: string[];
  causes: string[];
  texts: string[];
  hosts: string[];
  claims: [boolean, string][];
  columns: [name: string, kinds: number, context: number][];
  conns: Conn[];
}

export const Mark = {
  Again: 1, Lost: 2, Arrived: 4, Needless: 8, Twice: 16, Corrupt: 32, Ce: 64, Reordered: 128, Refused: 256,
} as const;

export const Flag = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128, AE: 256 } as const;

/** The rows, a typed array for each column. */
export interface Rows {
  at: Float64Array;
  num: Float64Array;
  kind: Uint8Array;
  side: Uint8Array;
  sack_n: Uint8Array;
  host: Uint16Array;
  mark: Uint16Array;
  flags: Uint16Array;
  text: Uint32Array;
  from: Uint32Array;
  a: Uint32Array;
  b: Uint32Array;
  seq: Uint32Array;
  ack: Uint32Array;
  len: Uint32Array;
  win: Uint32Array;
  cwnd: Uint32Array;
  ssthresh: Uint32Array;
  flight: Uint32Array;
  snd_wnd: Uint32Array;
  rcv_wnd: Uint32Array;
  srtt_us: Uint32Array;
  rttvar_us: Uint32Array;
  rto_us: Uint32Array;
  /** Where the ranges of a row begin in `sacks`, in pairs. */
  sackAt: Uint32Array;
  sacks: Float64Array;
}

export interface Report {
  head: Head;
  rows: Rows;
  /** Rows of connection i are first[i] up to first[i + 1]. */
  first: Uint32Array;
  kind: Record<string, number>;
}

const DIGITS = new Uint8Array(256);
for (let i = 0; i < 64; i++)
  DIGITS["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".charCodeAt(i)] = i;

/** Base64 without padding. */
export function fromBase64(text: string): Uint8Array {
  const digits = new TextEncoder().encode(text); // faster to go through than a string
  const n = digits.length, whole = n - (n % 4), out = new Uint8Array(Math.floor((n * 3) / 4));
  let o = 0;
  for (let i = 0; i < whole; i += 4, o += 3) {
    const v = (DIGITS[digits[i]] << 18) | (DIGITS[digits[i + 1]] << 12) | (DIGITS[digits[i + 2]] << 6) | DIGITS[digits[i + 3]];
    out[o] = v >> 16;
    out[o + 1] = v >> 8;
    out[o + 2] = v;
  }
  if (n - whole >= 2)
    out[o++] = (DIGITS[digits[whole]] << 2) | (DIGITS[digits[whole + 1]] >> 4);
  if (n - whole === 3)
    out[o++] = (DIGITS[digits[whole + 1]] << 4) | (DIGITS[digits[whole + 2]] >> 2);
  return out;
}

/** Values of a column, one by one: varints, and runs of zeros. */
export class Reader {
  private at = 0;
  private zeros = 0;
  constructor(private readonly bytes: Uint8Array) {}

  private varint(): number {
    const bytes = this.bytes;
    let byte = bytes[this.at++], v = byte & 127, scale = 128;
    while (byte & 128) {
      byte = bytes[this.at++];
      v += (byte & 127) * scale;
      scale *= 128;
    }
    return v;
  }

  next(): number {
    if (this.zeros > 0) {
      this.zeros--;
      return 0;
    }
    const v = this.varint();
    if (v === 0)
      this.zeros = this.varint();
    return v;
  }
}

export function unzigzag(v: number): number {
  return v % 2 === 1 ? -(v + 1) / 2 : v / 2;
}

type Column = Float64Array | Uint8Array | Uint16Array | Uint32Array;

export function makeRows(n: number): Rows {
  const words = (): Uint32Array => new Uint32Array(n);
  return {
    at: new Float64Array(n), num: new Float64Array(n), kind: new Uint8Array(n), side: new Uint8Array(n),
    sack_n: new Uint8Array(n), host: new Uint16Array(n), mark: new Uint16Array(n), flags: new Uint16Array(n),
    text: words(), from: words(), a: words(), b: words(), seq: words(), ack: words(), len: words(), win: words(),
    cwnd: words(), ssthresh: words(), flight: words(), snd_wnd: words(), rcv_wnd: words(), srtt_us: words(),
    rttvar_us: words(), rto_us: words(), sackAt: words(), sacks: new Float64Array(0),
  };
}

/** Put a report together. `column` gives the base64 of a column by its name. */
export function readReport(head: Head, column: (name: string) => string): Report {
  const rows = makeRows(head.rows), first = new Uint32Array(head.conns.length + 1);
  const kind: Record<string, number> = {};
  head.kinds.forEach((name, i) => (kind[name] = i));
  head.conns.forEach((conn, i) => (first[i + 1] = first[i] + conn.rows));

  const crossed = (1 << kind.seg_in) | (1 << kind.drop);
  for (const [name, kinds, context] of head.columns) {
    const out = (rows as unknown as Record<string, Column | undefined>)[name];
    if (!out)
      continue;
    const reader = new Reader(fromBase64(column(name)));
    const isKind = name === "kind";
    let previous = 0;
    for (let conn = 0; conn < head.conns.length; conn++) {
      const last = [context === 1 ? previous : 0, 0];
      for (let i = first[conn], end = first[conn + 1]; i < end; i++) {
        if (!isKind && !((kinds >>> rows.kind[i]) & 1) && name !== "at")
          continue;
        const v = reader.next();
        if (context === 0) {
          out[i] = v;
          continue;
        }
        const k = context === 2 ? rows.side[i]
          : context === 3 ? rows.side[i] ^ ((crossed >>> rows.kind[i]) & 1) : 0;
        last[k] += unzigzag(v);
        out[i] = last[k];
      }
      previous = last[0];
    }
  }
  readSacks(rows, column("sack"));
  return { head, rows, first, kind };
}

function readSacks(rows: Rows, text: string): void {
  let n = 0;
  for (let i = 0; i < rows.sack_n.length; i++) {
    rows.sackAt[i] = n;
    n += rows.sack_n[i];
  }
  rows.sacks = new Float64Array(2 * n);
  const reader = new Reader(fromBase64(text));
  for (let i = 0; i < rows.sack_n.length; i++) {
    for (let k = rows.sackAt[i]; k < rows.sackAt[i] + rows.sack_n[i]; k++) {
      rows.sacks[2 * k] = rows.ack[i] + unzigzag(reader.next());
      rows.sacks[2 * k + 1] = rows.sacks[2 * k] + reader.next();
    }
  }
}

/** The report in this document. */
export function reportOfPage(page: Document): Report {
  const text = (id: string): string => page.getElementById("weir-" + id)?.textContent ?? "";
  const head = JSON.parse(text("report")) as Head;
  const report = readReport(head, text);
  page.querySelectorAll("script[id^='weir-']").forEach((node) => node.remove());
  return report;
}
