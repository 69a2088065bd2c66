// One connection, or the whole run, as the diagram and the plots want it.
import { Flag, Mark, type Conn, type Report } from "./format";
import { bytes, count, duration, plural } from "./text";

export interface View {
  report: Report;
  conn: Conn | null; // null: all of them
  connIndex: number;
  /** Columns of the diagram, by name. */
  columns: string[];
  /** Rows in the order of time; what the diagram shows has a rank. */
  rows: Uint32Array;
  /** The ranked rows, and when each happened. */
  ranked: Uint32Array;
  /** Rank of a row, -1: it has none. By its place in the report minus `base`. */
  rank: Int32Array;
  base: number;
  /** Ranked events with trouble in them, by rank. */
  trouble: Uint32Array;
  /** What became of a sent packet: place in the report minus base, plus one, of the last row that came of it. */
  fate: Uint32Array;
  from: number; // ns
  to: number;
}

export function endName(report: Report, conn: Conn, side: number): string {
  const host = report.head.hosts[conn.ends[side].host];
  if (host !== undefined && conn.ends[0].host !== conn.ends[1].host)
    return host;
  return conn.ends[side].addr || (side === 0 ? "client" : "server");
}

export function connOf(report: Report, row: number): number {
  let lo = 0, hi = report.first.length - 1;
  while (lo + 1 < hi) {
    const mid = (lo + hi) >> 1;
    if (report.first[mid] <= row)
      lo = mid;
    else
      hi = mid;
  }
  return lo;
}

/** Is it something that stands at a place of its own in the diagram? */
function isShown(report: Report, row: number): boolean {
  const kind = report.rows.kind[row], k = report.kind;
  return kind === k.seg_out || kind === k.seg_in || kind === k.drop || kind === k.timer || kind === k.dgram_out ||
    kind === k.dgram_in || kind === k.icmp_in || (kind === k.link && report.rows.from[row] === 0) || kind === k.state;
}

/** Timers that only let an acknowledgement or a paced segment go are not worth a line. */
function isQuietTimer(report: Report, row: number): boolean {
  const name = report.head.texts[report.rows.text[row]];
  return name === "pacing" || name === "delayed ACK" || name === "SACK compression";
}

export function isTrouble(report: Report, row: number): boolean {
  const { kind, mark, flags } = report.rows;
  if (kind[row] === report.kind.drop || kind[row] === report.kind.timer || kind[row] === report.kind.icmp_in)
    return true;
  return (mark[row] & (Mark.Again | Mark.Lost | Mark.Needless | Mark.Corrupt | Mark.Refused | Mark.Twice)) !== 0 ||
    (flags[row] & Flag.RST) !== 0;
}

function finish(report: Report, conn: Conn | null, connIndex: number, columns: string[], rows: Uint32Array,
                base: number, span: number): View {
  const ranked = new Uint32Array(rows.length), rank = new Int32Array(span).fill(-1), fate = new Uint32Array(span);
  const trouble = new Uint32Array(rows.length);
  let n = 0, troubles = 0;
  for (const row of rows) {
    const back = report.rows.from[row];
    if (back > 0)
      fate[row - back - base] = row - base + 1;
    if (!isShown(report, row) || (report.rows.kind[row] === report.kind.timer && isQuietTimer(report, row)))
      continue;
    rank[row - base] = n;
    if (isTrouble(report, row))
      trouble[troubles++] = n;
    ranked[n++] = row;
  }
  const at = report.rows.at;
  return {
    report, conn, connIndex, columns, rows, ranked: ranked.subarray(0, n), rank, base, fate,
    trouble: trouble.subarray(0, troubles),
    from: rows.length ? at[rows[0]] : 0,
    to: conn ? Math.max(conn.ended, conn.began) : rows.length ? at[rows[rows.length - 1]] : 0,
  };
}

export function viewOfConn(report: Report, index: number): View {
  const conn = report.head.conns[index], lo = report.first[index], hi = report.first[index + 1];
  const rows = new Uint32Array(hi - lo);
  for (let i = lo; i < hi; i++)
    rows[i - lo] = i;
  return finish(report, conn, index, [endName(report, conn, 0), endName(report, conn, 1)], rows, lo, hi - lo);
}

/** All connections in one diagram, a column for each host. */
export function viewOfAll(report: Report): View {
  const n = report.head.rows, at = report.rows.at, rows = new Uint32Array(n);
  for (let i = 0; i < n; i++)
    rows[i] = i;
  rows.sort((i, j) => at[i] - at[j] || report.rows.num[i] - report.rows.num[j] || i - j);
  const view = finish(report, null, -1, report.head.hosts, rows, 0, n);
  view.to = Math.max(...report.head.conns.map((c) => c.ended), view.from);
  return view;
}

/** In which column something happened; -1: in none that is shown. */
export function columnOf(view: View, row: number): number {
  if (view.conn)
    return view.report.rows.side[row];
  const host = view.report.rows.host[row];
  return host < view.columns.length ? host : -1;
}

/** The column of the other end of a row's connection. */
export function peerColumn(view: View, row: number): number {
  const side = view.report.rows.side[row];
  if (view.conn)
    return 1 - side;
  const host = view.report.head.conns[connOf(view.report, row)].ends[1 - side].host;
  return host >= 0 && host < view.columns.length ? host : -1;
}

export function flagNames(flags: number): string[] {
  return Object.entries(Flag).filter(([, bit]) => flags & bit).map(([name]) => name);
}

/** What a segment is, in a few words. */
export function label(report: Report, row: number): string {
  const r = report.rows, k = report.kind, kind = r.kind[row];
  if (kind === k.state)
    return report.head.states[r.b[row]];
  if (kind === k.timer)
    return `${report.head.texts[r.text[row]]} timer`;
  if (kind === k.icmp_in)
    return `ICMP: ${report.head.texts[r.text[row]]}`;
  if (kind === k.dgram_out || kind === k.dgram_in)
    return `datagram, ${plural(r.len[row], "byte")}`;
  if (kind === k.drop && r.from[row] === 0)
    return `dropped: ${report.head.texts[r.text[row]]}`;
  const flags = r.flags[row], words = [];
  for (const name of ["SYN", "FIN", "RST"] as const)
    if (flags & Flag[name])
      words.push(name);
  if (flags & Flag.ACK && (r.len[row] === 0 || words.length > 0))
    words.push(r.len[row] === 0 && words.length === 0 ? `ACK ${count(r.ack[row])}` : "ACK");
  if (r.len[row] > 0)
    words.push(`${count(r.seq[row])} +${count(r.len[row])}`);
  return words.join(" ") || "segment";
}

/** Why it was sent, or what became of it. */
export function remark(report: Report, row: number): string {
  const r = report.rows, k = report.kind, mark = r.mark[row], words = [];
  const text = report.head.texts[r.text[row]];
  if (r.kind[row] === k.seg_out && text && !/^(new data|acknowledge|open|close|accept the open)(;|$)/.test(text))
    words.push(text);
  if (r.kind[row] === k.state && text)
    words.push(text);
  if (r.kind[row] === k.drop && text && r.from[row] > 0)
    words.push(`dropped: ${text}`);
  if (r.kind[row] === k.link && text)
    words.push(text);
  if (r.kind[row] === k.timer && r.a[row] > 0)
    words.push(`back-off ${r.a[row]}`);
  if (mark & Mark.Lost && r.kind[row] === k.seg_out)
    words.push("lost");
  if (mark & Mark.Again && !/again|retransmit/.test(text) && r.kind[row] === k.seg_out)
    words.push("again");
  if (mark & Mark.Needless)
    words.push("had it already");
  if (mark & Mark.Twice)
    words.push("duplicated on the link");
  if (mark & Mark.Corrupt)
    words.push("a bit changed on the link");
  if (mark & Mark.Ce)
    words.push("marked CE");
  return words.join(" · ");
}

/** Everything about a row that a search may look for. */
export function searchText(report: Report, row: number): string {
  const r = report.rows, kind = r.kind[row];
  return [`#${r.num[row]}`, report.head.kinds[kind], label(report, row), remark(report, row),
    report.head.texts[r.text[row]], flagNames(r.flags[row]).join(" "), `seq ${r.seq[row]}`,
    r.mark[row] & Mark.Lost ? "lost" : "", r.mark[row] & Mark.Again ? "again retransmission" : "",
    r.mark[row] & Mark.Needless ? "duplicate" : ""].join(" ").toLowerCase();
}

/** The next rank after `after` whose text has all words of the query, going round; -1: there is none. */
export function search(view: View, query: string, after: number, step: 1 | -1 = 1): number {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean), n = view.ranked.length;
  for (let i = 1; i <= n && words.length > 0; i++) {
    const rank = (((after + i * step) % n) + n) % n;
    const text = searchText(view.report, view.ranked[rank]);
    if (words.every((word) => word[0] === "#" ? text.startsWith(word + " ") : text.includes(word)))
      return rank;
  }
  return -1;
}

/** The first index of an ascending array of rows whose time is not before `t`. */
export function lowerBound(at: Float64Array, rows: Uint32Array, t: number): number {
  let lo = 0, hi = rows.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (at[rows[mid]] < t)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

export interface Fact {
  name: string;
  value: string;
}

/** A row in full, for the panel. */
export function facts(view: View, row: number): Fact[] {
  const { report } = view, r = report.rows, k = report.kind, kind = r.kind[row], out: Fact[] = [];
  const conn = view.conn ?? report.head.conns[connOf(report, row)];
  const add = (name: string, value: string): void => void out.push({ name, value });
  const isSegment = kind === k.seg_out || kind === k.seg_in || ((kind === k.drop || kind === k.link) && r.flags[row] !== 0);
  const text = report.head.texts[r.text[row]];

  add("Time", duration(r.at[row] - view.from));
  if (r.num[row])
    add(report.head.one_sided ? "Packet" : "Event", `#${r.num[row]}`);
  if (text)
    add(kind === k.seg_out ? "Reason" : kind === k.timer ? "Timer" : "Cause", text);
  if (isSegment) {
    const sender = kind === k.seg_in || kind === k.drop ? 1 - r.side[row] : r.side[row];
    const from = conn.ends[sender], to = conn.ends[1 - sender];
    add("From", from.addr);
    add("To", to.addr);
    add("Flags", flagNames(r.flags[row]).join(" ") || "none");
    add("Sequence", `${count(r.seq[row])}  (${(r.seq[row] + from.iss) >>> 0} on the wire)`);
    if (r.flags[row] & Flag.ACK)
      add("Acknowledges", `${count(r.ack[row])}  (${(r.ack[row] + to.iss) >>> 0} on the wire)`);
    add("Payload", plural(r.len[row], "byte"));
    if (kind !== k.link && kind !== k.drop)
      add("Window", bytes(r.win[row]));
    for (let i = r.sackAt[row]; i < r.sackAt[row] + r.sack_n[row]; i++)
      add("SACK", `${count(r.sacks[2 * i])} to ${count(r.sacks[2 * i + 1])}`);
    if (r.a[row] && (kind === k.seg_out || kind === k.seg_in))
      add("Cut into", `pieces of ${plural(r.a[row], "byte")}`);
    if (r.b[row] && kind === k.seg_out)
      add("After", plural(r.b[row], "duplicate ACK"));
  } else if (kind === k.state) {
    add("State", `${report.head.states[r.a[row]]} → ${report.head.states[r.b[row]]}`);
  } else if (kind === k.timer && r.a[row]) {
    add("Back-off", String(r.a[row]));
  } else if (r.len[row]) {
    add("Payload", plural(r.len[row], "byte"));
  }
  addFate(view, row, add);
  if (r.cwnd[row]) {
    add("cwnd", bytes(r.cwnd[row]));
    add("ssthresh", r.ssthresh[row] ? bytes(r.ssthresh[row]) : "not set yet");
  }
  if (r.cwnd[row] || r.snd_wnd[row]) {
    add("In flight", bytes(r.flight[row]));
    add("Peer’s window", bytes(r.snd_wnd[row]));
  }
  if (r.srtt_us[row])
    add("Smoothed RTT", `${duration(r.srtt_us[row] * 1e3)} ± ${duration(r.rttvar_us[row] * 1e3)}`);
  if (r.rto_us[row])
    add("RTO", duration(r.rto_us[row] * 1e3));
  return out;
}

function addFate(view: View, row: number, add: (name: string, value: string) => void): void {
  const { report } = view, r = report.rows, k = report.kind, kind = r.kind[row], mark = r.mark[row];
  const what = [];
  if (r.from[row] > 0)
    add("Under way for", duration(r.at[row] - r.at[row - r.from[row]]));
  if (kind === k.seg_out || kind === k.dgram_out) {
    const fate = view.fate[row - view.base];
    if (fate > 0 && r.kind[view.base + fate - 1] !== k.link)
      add("Arrived after", duration(r.at[view.base + fate - 1] - r.at[row]));
  }
  if (mark & Mark.Lost)
    what.push(mark & Mark.Arrived ? "a part was lost on the link" : "lost on the link");
  if (mark & Mark.Refused)
    what.push("dropped by its receiver");
  if (mark & Mark.Needless)
    what.push("its receiver had all of it already");
  if (mark & Mark.Twice)
    what.push("duplicated on the link");
  if (mark & Mark.Corrupt)
    what.push("a bit was changed on the link");
  if (mark & Mark.Ce)
    what.push("marked: congestion experienced");
  if (mark & Mark.Reordered)
    what.push("overtook an earlier packet");
  if (mark & Mark.Again)
    what.push("a retransmission");
  if (what.length)
    add("What became of it", what.join("; "));
}
