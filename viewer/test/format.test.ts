import { describe, expect, it } from "vitest";
import { fromBase64, Reader, readReport, unzigzag, type Head } from "../src/format";
import { search, viewOfConn } from "../src/model";
import { Series } from "../src/series";
import { bytes, duration, percents, rate } from "../src/text";

const base64 = (bytes: number[]): string => Buffer.from(bytes).toString("base64").replace(/=+$/, "");

describe("columns", () => {
  it("are base64 of any length", () => {
    for (let n = 0; n < 9; n++) {
      const some = Array.from({ length: n }, (_, i) => (i * 77 + 200) & 255);
      expect([...fromBase64(base64(some))]).toEqual(some);
    }
  });

  it("are varints and runs of zeros", () => {
    const reader = new Reader(Uint8Array.from([5, 0, 2, 0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x07]));
    expect([1, 2, 3, 4, 5, 6].map(() => reader.next())).toEqual([5, 0, 0, 0, 128, 2 ** 45 - 1]);
  });

  it("are differences to either side", () => {
    expect([0, 1, 2, 3, 2 ** 40 - 1].map(unzigzag)).toEqual([0, -1, 1, -2, -(2 ** 39)]);
  });

  it("of an end go on from its own last row", () => {
    const kinds = ["seg_out", "seg_in", "state", "drop", "timer", "dgram_out", "dgram_in", "icmp_in", "link"];
    const end = { addr: "", error: "", host: 0, iss: 0, bytes: 0, segs: 0, again: 0, lost: 0, state: 0, life: 0, spent: [] };
    const conn = { verdict: "", text: "", rows: 0, udp: false, began: 0, ended: 0, rtt: 0, ends: [end, end] };
    const head = {
      format: 1, kinds, rows: 4, states: [], causes: [], texts: ["", "lost"], hosts: [], claims: [], one_sided: false,
      columns: [["at", 511, 1], ["kind", 511, 0], ["side", 511, 0], ["seq", 3, 3], ["cwnd", 3, 2], ["from", 3, 0]],
      conns: [conn, { ...conn, rows: 4 }],
    } as unknown as Head;
    // Rows: out of 0 at 10, in of 1 at 20, out of 0 at 30, in of 1 at 40.
    const columns: Record<string, number[]> = {
      at: [20, 20, 20, 20], kind: [0, 0, 1, 0, 0, 1], side: [0, 0, 1, 0, 0, 1],
      seq: [2, 0, 0, 200, 1, 0, 0], cwnd: [20, 20, 2, 4], from: [0, 0, 1, 0, 0, 1], sack: [],
    };
    // Rows: out of 0 at 10, in of 1 at 20, out of 0 at 30, in of 1 at 40.
    const report = readReport(head, (name) => base64(columns[name] ?? []));
    expect([...report.rows.at]).toEqual([10, 20, 30, 40]);
    expect([...report.rows.kind]).toEqual([0, 1, 0, 1]);
    expect([...report.rows.from]).toEqual([0, 1, 0, 1]);
    expect([...report.rows.seq]).toEqual([1, 1, 101, 101]); // what arrives is numbered as its sender does
    expect([...report.rows.cwnd]).toEqual([10, 10, 11, 12]);
    const view = viewOfConn(report, 1);
    expect([...view.ranked]).toEqual([0, 1, 2, 3]);
    expect([...view.fate]).toEqual([2, 0, 4, 0]);
    expect(search(view, "seq 101", -1)).toBe(2);
    expect(search(view, "nothing", -1)).toBe(-1);
  });
});

describe("series", () => {
  const t = Float64Array.from({ length: 1000 }, (_, i) => i), v = t.map((x) => (x * 37) % 101);
  const series = new Series(t, v);
  it("knows its extremes between any two times", () => {
    for (const [from, to] of [[0, 1000], [10.5, 700], [63, 65], [500, 501]]) {
      const part = [...v].filter((_, i) => i >= Math.max(0, Math.ceil(from) - 1) && i < to);
      const [lo, hi] = series.range(from, to);
      expect(lo).toBe(Math.min(...part));
      expect(hi).toBe(Math.max(...part));
    }
  });
  it("has no more points than asked for, and loses no extreme", () => {
    let n = 0, top = -1;
    series.walk(0, 1000, 30, (_, __, hi) => {
      n++;
      top = Math.max(top, hi);
    });
    expect(n).toBeLessThanOrEqual(16);
    expect(top).toBe(100);
  });
  it("tells the last value at a time", () => {
    expect(series.at(2.5)).toBe(74);
    expect(series.at(-1)).toBeNaN();
  });
});

describe("numbers in words", () => {
  it("have three figures", () => {
    expect([0, 999, 1500, 40089000, 2299767200, 61e9, 125e9].map(duration)).toEqual(["0", "999 ns", "1.5 µs", "40.1 ms", "2.3 s", "61 s", "2 min 5 s"]);
    expect([1, 9000, 1048576, 3e9].map(bytes)).toEqual(["1 byte", "9,000 bytes", "1 MiB", "2.79 GiB"]);
    expect(rate(3.68e6)).toBe("3.68 Mbit/s");
  });
  it("are shares that sum to 100", () => {
    expect(percents([1, 1, 1])).toEqual([34, 33, 33]);
    expect(percents([])).toEqual([]);
  });
});
