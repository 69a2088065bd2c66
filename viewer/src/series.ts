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
    const first = Math.floor(i / BLOCK), last = Math.ceil(end / BLOCK), step = Math.max(1, Math.ceil((last - first) / (budget / 3)));
    for (let block = first; block < last; block += step) {
      const stop = Math.min(last, block + step);
      let lo = Infinity, hi = -Infinity;
      for (let k = block; k < stop; k++) {
        lo = Math.min(lo, this.min[k]);
        hi = Math.max(hi, this.max[k]);
      }
      point(this.t[block * BLOCK], lo, hi, this.v[Math.min(this.v.length, stop * BLOCK) - 1]);
    }
  }
}

/** Those rows of a view that `wants` lets through. */
export function pick(rows: Uint32Array, wants: (row: number) => boolean): Uint32Array {
  const out = new Uint32Array(rows.length);
  let n = 0;
  for (let i = 0; i < rows.length; i++)
    if (wants(rows[i]))
      out[n++] = rows[i];
  return out.slice(0, n);
}

/** A value of each of some rows, over the time of the view. */
export function collect(view: View, rows: Uint32Array, value: (row: number) => number): Series {
  const { at } = view.report.rows, t = new Float64Array(rows.length), v = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    t[i] = (at[rows[i]] - view.from) / 1e9;
    v[i] = value(rows[i]);
  }
  return new Series(t, v);
}

/** A column of some rows, where it changes: the first and the last of a run of equals are kept. Zeros may be left out. */
export function changes(view: View, rows: Uint32Array, column: Uint32Array, scale = 1, zeros = true): Series {
  const kept = new Uint32Array(rows.length);
  let n = 0;
  for (let i = 0; i < rows.length; i++) {
    const v = column[rows[i]];
    if (!zeros && v === 0)
      continue;
    if (i === 0 || i === rows.length - 1 || v !== column[rows[i - 1]])
      kept[n++] = rows[i];
  }
  return collect(view, kept.subarray(0, n), (row) => column[row] * scale);
}
