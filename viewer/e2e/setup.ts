// The reports that the tests open: runs of the weir that was built, in virtual time, so they are the same each time.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const weir = process.env.WEIR ?? "../build/weir";
export const dir = "test-results/reports";

function run(...args: string[]): void {
  execFileSync(weir, args, { stdio: ["ignore", "ignore", "inherit"] });
}

export default function setup(): void {
  mkdirSync(dir, { recursive: true });
  run("sim", "run", "--seed", "7", "--link", "rate=10mbit delay=20ms loss=2% dup=1%", "--bytes", "300k",
    "--trace", `${dir}/lossy.jsonl`, "--pcap", `${dir}/lossy.pcapng`);
  run("report", `${dir}/lossy.jsonl`, "-o", `${dir}/lossy.html`, "--title", "Lossy <link>");
  run("report", `${dir}/lossy.pcapng`, "-o", `${dir}/capture.html`);
  // Several connections of several hosts: other transfers, under other names.
  let lines = readFileSync(`${dir}/lossy.jsonl`, "utf8");
  for (let seed = 20; seed < 24; seed++) {
    run("sim", "run", "--seed", String(seed), "--link", "delay=5ms", "--bytes", "20k", "--trace", `${dir}/more.jsonl`);
    lines += readFileSync(`${dir}/more.jsonl`, "utf8").replaceAll('"client"', `"client-${seed}"`).replaceAll('"server"', `"server-${seed}"`);
  }
  writeFileSync(`${dir}/several.jsonl`, lines);
  run("report", `${dir}/several.jsonl`, "-o", `${dir}/several.html`);
  // A million events.
  run("sim", "run", "--seed", "7", "--bytes", "500m", "--link", "rate=400mbit delay=10ms loss=0.05%", "--trace", `${dir}/big.jsonl`);
  run("report", `${dir}/big.jsonl`, "-o", `${dir}/big.html`);
}
