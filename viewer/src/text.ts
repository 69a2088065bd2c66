// Numbers in words.

const grouped = new Intl.NumberFormat("en-US");

export function count(n: number): string {
  return grouped.format(n);
}

export function plural(n: number, one: string, many = one + "s"): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** A duration with three figures that mean something: "1.23 ms". */
export function duration(ns: number): string {
  const abs = Math.abs(ns);
  if (abs === 0)
    return "0";
  if (abs < 1e3)
    return `${ns} ns`;
  if (abs < 1e6)
    return `${three(ns / 1e3)} µs`;
  if (abs < 1e9)
    return `${three(ns / 1e6)} ms`;
  if (abs < 120e9)
    return `${three(ns / 1e9)} s`;
  const s = Math.round(ns / 1e9);
  return s < 7200 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

function three(v: number): string {
  const abs = Math.abs(v);
  const text = v.toFixed(abs >= 99.95 ? 0 : abs >= 9.995 ? 1 : 2);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A point in time from the start, at a fixed resolution so that columns line up: "1.234567". */
export function stamp(ns: number): string {
  return (ns / 1e9).toFixed(6);
}

export function bytes(n: number): string {
  if (n < 10240)
    return plural(n, "byte");
  if (n < 1048576)
    return `${three(n / 1024)} KiB`;
  return n < 1073741824 ? `${three(n / 1048576)} MiB` : `${three(n / 1073741824)} GiB`;
}

export function rate(bitsPerSecond: number): string {
  const v = bitsPerSecond;
  if (v < 1e3)
    return `${three(v)} bit/s`;
  if (v < 1e6)
    return `${three(v / 1e3)} kbit/s`;
  return v < 1e9 ? `${three(v / 1e6)} Mbit/s` : `${three(v / 1e9)} Gbit/s`;
}

/** Shares in whole percent that sum to 100 where anything is there (largest remainder). */
export function percents(parts: number[]): number[] {
  const sum = parts.reduce((a, b) => a + b, 0);
  if (sum <= 0)
    return parts.map(() => 0);
  const exact = parts.map((p) => (100 * p) / sum), out = exact.map(Math.floor);
  const left = 100 - out.reduce((a, b) => a + b, 0);
  exact.map((e, i) => [e - out[i], i]).sort((a, b) => b[0] - a[0]).slice(0, left).forEach(([, i]) => out[i]++);
  return out;
}
