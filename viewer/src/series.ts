// Values over time that can be drawn fast at any zoom: beside each value the least and the greatest of each block.
import type { View } from "./model";

const BLOCK = 64;

export class Series {
  readonly min: Float64Array;
  readonly max: Float64Array;
  constructor(readonly t: Float64Array, readonly v: Float64Array) {
    const n = Math.ceil(v.length / BLOCK);
    this.min = new Float64Array(n);
    this.max = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      let lo = Infinity, hi = -Infinity;
      for (let k = i * BLOCK; k < Math.min(v.length, (i + 1) * BLOCK); k++) {
        lo = Math.min(lo, v[k]);
        hi = Math.max(hi, v[k]);
      }
      this.min[i] = lo;
      this.max[i] = hi;
    }
  }

  /** The first index whose time is not before `t`. */
  find(t: number): number {
    let lo = 0, hi = this.t.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (this.t[mid] < t)
        lo = mid + 1;
      else
        hi = mid;
    }
    return lo;
  }

  /** The last value at or before `t`; NaN: none. */
  at(t: number): number {
    let i = this.find(t);
    if (i === this.t.length || this.t[i] > t)
      i--;
    return i >= 0 ? this.v[i] : NaN;
  }

  /** Least and greatest value between two times, what held at the first included. */
  range(from: number, to: number): [number, number] {
    let i = Math.max(0, this.find(from) - 1), lo = Infinity, hi = -Infinity;
    const end = this.find(to);
    while (i < end) {
      if (i % BLOCK === 0 && i + BLOCK <= end) {
        lo = Math.min(lo, this.min[i / BLOCK]);
        hi = Math.max(hi, this.max[i / BLOCK]);
        i += BLOCK;
      } else {
        lo = Math.min(lo, this.v[i]);
        hi = Math.max(hi, this.v[i]);
        i++;
      }
    }
    return [lo, hi];
  }

  /** Call for what is to be drawn between two times: single values, or whole blocks where there are many. */
  walk(from: number, to: number, budget: number, point: (t: number, lo: number, hi: number, last: number) => void): void {
    let i = Math.max(0, this.find(from) - 1);
    const end = Math.min(this.t.length, this.find(to) + 1);
    if (end - i <= budget) {
      for (; i < end; i++)
        point(this.t[i], this.v[i], this.v[i], this.v[i]);
      return;
    }
    for (let block = Math.floor(i / BLOCK); block * BLOCK < end; block++)
      point(this.t[block * BLOCK], this.min[block], this.max[block], this.v[Math.min(this.v.length, (block + 1) * BLOCK) - 1]);
  }
}

/** Where the values of one column come from: those rows of an end that `wants` lets through. */
export function collect(view: View, wants: (row: number) => boolean, value: (row: number) => number): Series {
  const { at } = view.report.rows;
  let n = 0;
  for (const row of view.rows)
    n += wants(row) ? 1 : 0;
  const t = new Float64Array(n), v = new Float64Array(n);
  n = 0;
  for (const row of view.rows) {
    if (!wants(row))
      continue;
    t[n] = (at[row] - view.from) / 1e9;
    v[n++] = value(row);
  }
  return new Series(t, v);
}

/** Only where the value changes: the first and the last of a run of equals are kept. */
export function thin(series: Series): Series {
  const { t, v } = series, keep = new Uint8Array(v.length);
  let n = 0;
  for (let i = 0; i < v.length; i++) {
    if (i === 0 || i === v.length - 1 || v[i] !== v[i - 1]) {
      keep[i] = 1;
      n++;
    }
  }
  const tt = new Float64Array(n), vv = new Float64Array(n);
  n = 0;
  for (let i = 0; i < v.length; i++) {
    if (keep[i]) {
      tt[n] = t[i];
      vv[n++] = v[i];
    }
  }
  return new Series(tt, vv);
}
