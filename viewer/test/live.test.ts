import { describe, expect, it } from "vitest";
import { Store, type Chunk } from "../src/live";

const base64 = (bytes: number[]): string => Buffer.from(bytes).toString("base64").replace(/=+$/, "");
const end = { addr: "", error: "", host: 0, iss: 0, bytes: 0, segs: 0, again: 0, lost: 0, state: 0, life: 0, spent: [] };
const names = {
  title: "t", start_ns: "0", hosts: ["a", "b"], states: [], causes: [],
  kinds: ["seg_out", "seg_in", "state", "drop", "timer", "dgram_out", "dgram_in", "icmp_in", "link"],
  columns: [["at", 511, 1], ["kind", 511, 0], ["num", 511, 0], ["from", 511, 0]],
};

/** Rows of one connection: each arrives `from` rows after it was sent; `marks` is what became of those. */
function chunk(id: number, first: number, from: number[], marks: number[], begin = false): Chunk {
  const zeros = (values: number[]): number[] => values.flatMap((v) => (v === 0 ? [0, 0] : [v]));
  return {
    ...(begin ? { begin, ...names } : {}), rows: from.length, all: first + from.length, texts: [],
    conns: [{ id, first, rows: from.length, verdict: "open", text: "Open when the recording ended", udp: false, began: 0, ended: 0, rtt: 0, ends: [end, end] }],
    at: base64(zeros(from.map(() => 20))), kind: base64(zeros(from.map(() => 0))), num: base64(zeros(from.map((_, i) => first + i + 1))),
    from: base64(zeros(from)), from_mark: base64(zeros(marks)), sack: "",
  } as unknown as Chunk;
}

describe("what is told piece by piece", () => {
  it("is joined, and what became of a packet is known when it is told", () => {
    const store = new Store();
    store.add(chunk(1, 0, [0, 0], [0, 0], true));
    expect([...store.report().rows.mark]).toEqual([0, 0]);
    store.add(chunk(1, 2, [2, 2], [4, 2]));
    const report = store.report();
    expect([...report.rows.from]).toEqual([0, 0, 2, 2]);
    expect([...report.rows.mark]).toEqual([4, 2, 0, 0]);
    expect(report.head.conns[1].text).toBe("Open");
    expect([...report.first]).toEqual([0, 0, 4]);
  });

  it("does not run backwards in time", () => {
    const store = new Store();
    store.add(chunk(1, 0, [0, 0, 0], [0, 0, 0], true)); // 10, 20, 30
    store.add(chunk(1, 3, [0], [0])); // 10
    expect([...store.report().rows.at]).toEqual([10, 20, 30, 30]);
  });

  it("begins anew behind what was lost", () => {
    const store = new Store();
    store.add(chunk(1, 0, [0, 0], [0, 0], true));
    store.add(chunk(1, 5, [0, 6, 1], [0, 4, 4]));
    const report = store.report();
    expect([...report.rows.num]).toEqual([6, 7, 8]);
    expect([...report.rows.from]).toEqual([0, 0, 1]); // the first of them was sent by one that is not there
    expect([...report.rows.mark]).toEqual([0, 4, 0]);
  });

  it("is bounded: the oldest rows go", () => {
    const store = new Store(), n = 30_000, none = new Array<number>(n).fill(0);
    for (let i = 0; i < 10; i++)
      store.add(chunk(1 + (i % 2), Math.floor(i / 2) * n, none, none, i === 0));
    const report = store.report();
    expect(report.head.rows).toBeLessThanOrEqual(200_000);
    expect(report.head.rows).toBeGreaterThan(200_000 - n);
    expect(report.first[3]).toBe(report.head.rows);
    expect(store.all - report.head.rows).toBe(report.head.left_out);
  });

  it("that has no beginning is left alone", () => {
    const store = new Store();
    store.add(chunk(1, 5, [0], [0]));
    expect(store.isEmpty).toBe(true);
  });
});
