// weir run --live: the page follows a run that the tests lead step by step.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer, connect, type Server, type Socket } from "node:net";
import { resolve } from "node:path";
import { expect, test as base, type Page } from "playwright/test";
import { readReport, type Head, type Report, type Rows } from "../src/format";
import { Store, type Chunk } from "../src/live";
import { dir } from "./setup";

const weir = process.env.WEIR ?? "../build/weir";

/** At each line a connection within the run (at "out PORT" to an echo on the host) carries something; at "stay" it stays
 * open, at the end of input all ends. */
const program = `
import socket, sys
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
kept = []
for line in sys.stdin:
    if line.startswith("out "):
        a = b = socket.create_connection(("127.0.0.1", int(line.split()[1])))
    else:
        a = socket.create_connection(listener.getsockname())
        b, _ = listener.accept()
    for _ in range(20):
        a.sendall(bytes(3000))
        n = 0
        while n < 3000:
            n += len(b.recv(3000))
    if line == "stay\\n":
        kept += [a, b]
    else:
        a.close(), b.close()
    print("done", flush=True)
`;

class Run {
  url = "";
  private said = "";
  private constructor(private readonly process: ChildProcess, readonly ended: Promise<number | null>) {}

  static async start(...args: string[]): Promise<Run> {
    const process = spawn(weir, ["run", "-q", "--live", ...args, "--", "python3", "-c", program], { stdio: ["pipe", "pipe", "pipe"] });
    const run = new Run(process, new Promise((done) => process.on("exit", done)));
    run.url = await new Promise<string>((done, fail) => {
      let text = "";
      process.stderr!.on("data", (data) => {
        text += String(data);
        const found = /http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\//.exec(text);
        if (found)
          done(found[0]);
      });
      process.on("exit", () => fail(new Error(text)));
    });
    process.stdout!.on("data", (data) => (run.said += String(data)));
    return run;
  }

  async step(line = "go"): Promise<void> {
    const before = this.said.length;
    this.process.stdin!.write(line + "\n");
    await expect.poll(() => this.said.slice(before)).toContain("done");
  }

  async end(): Promise<void> {
    this.process.stdin!.end();
    expect(await this.ended).toBe(0);
  }

  kill(): void {
    this.process.kill("SIGKILL");
  }
}

const test = base.extend<{ run: Run; said: string[] }>({
  run: async ({}, use) => {
    const run = await Run.start();
    await use(run);
    run.kill();
  },
  said: async ({ page }, use) => {
    const said: string[] = [];
    page.on("console", (m) => said.push(`${m.type()}: ${m.text()}`));
    page.on("pageerror", (e) => said.push(e.message));
    await use(said);
  },
});

async function events(page: Page): Promise<number> {
  const text = await page.locator(".sum").innerText();
  return Number(/([\d,]+) events?/.exec(text)![1].replaceAll(",", ""));
}

test("the page goes on by itself, and says when the run has ended", async ({ page, run, said }) => {
  await page.goto(run.url);
  await expect(page.locator("#app")).toContainText("Waiting for the first packet");
  await run.step();
  await expect(page.locator(".conn")).toHaveCount(1); // both ends of it are in the run
  await expect(page.locator(".badge")).toHaveText("live");
  const before = await events(page);
  await page.evaluate(() => ((window as unknown as { mine: number }).mine = 1));
  await run.step();
  await expect(page.locator(".conn")).toHaveCount(2);
  expect(await events(page)).toBeGreaterThan(before);
  await run.step("stay");
  await expect(page.locator(".conn")).toHaveCount(3);
  await expect(page.locator(".conn .how").last()).toHaveText("Open");
  await run.end();
  await expect(page.locator(".badge")).toHaveText("ended");
  await expect(page.locator(".sum")).toContainText("The program has ended, exit status 0.");
  expect(await page.evaluate(() => (window as unknown as { mine: number }).mine)).toBe(1); // never loaded again
  expect(await page.locator("body").innerText()).not.toMatch(/null|undefined|NaN|object/);
  expect(said).toEqual([]);
});

test("a connection that lives has its ledger, and what is chosen stays", async ({ page, run, said }) => {
  await page.goto(run.url);
  await run.step("stay");
  await expect(page.locator(".account").first()).toContainText(/\d+ % /);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await expect(page.locator(".detail")).toContainText("SYN");
  const chosen = await page.locator(".detail").innerText(), title = await page.locator(".conn-head h2").innerText();
  await run.step();
  await expect(page.locator(".conn")).toHaveCount(2);
  expect(await page.locator(".detail").innerText()).toBe(chosen);
  expect(await page.locator(".conn-head h2").innerText()).toBe(title);
  await page.locator(".conn").last().click();
  await expect(page.locator(".conn").last()).toHaveAttribute("aria-selected", "true");
  await page.locator(".all").click();
  await run.step();
  await expect(page.locator(".conn")).toHaveCount(3);
  await expect(page.locator(".conn-head h2")).toHaveText("All connections");
  expect(said).toEqual([]);
});

test("a click holds the page still, another lets it go on", async ({ page, run, said }) => {
  await page.goto(run.url);
  await run.step();
  await expect(page.locator(".conn")).toHaveCount(1);
  await page.locator(".badge").click();
  await expect(page.locator(".badge")).toHaveText("held");
  await run.step();
  await page.locator(".badge").click();
  await run.step();
  await expect(page.locator(".conn")).toHaveCount(3);
  expect(said).toEqual([]);
});

/** Between the browser and the run, to be cut. */
class Wire {
  readonly asked: string[] = [];
  private readonly sockets = new Set<Socket>();
  private isDown = false;
  private constructor(private readonly server: Server) {}

  static async between(run: Run): Promise<[Wire, string]> {
    const url = new URL(run.url), server = createServer(), wire = new Wire(server);
    server.on("connection", (browser) => {
      if (wire.isDown) {
        browser.destroy();
        return;
      }
      const far = connect(Number(url.port), "127.0.0.1");
      for (const s of [browser, far]) {
        wire.sockets.add(s);
        s.on("error", () => {});
        s.on("close", () => wire.sockets.delete(s));
      }
      far.pipe(browser);
      far.on("close", () => browser.destroy());
      browser.on("close", () => far.destroy());
      browser.on("data", (data) => {
        wire.asked.push(String(data));
        far.write(String(data).replace(/Host: [^\r]*/, `Host: ${url.host}`).replace(/Origin: [^\r]*\r\n/, ""));
      });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const { port } = server.address() as { port: number };
    return [wire, `http://127.0.0.1:${port}${url.pathname}`];
  }

  cut(): void {
    this.isDown = true;
    this.sockets.forEach((s) => s.destroy());
  }

  mend(): void {
    this.isDown = false;
  }

  close(): void {
    this.cut();
    this.server.close();
  }
}

test("after a drop the page goes on where it was", async ({ page, run }) => {
  const [wire, url] = await Wire.between(run);
  await page.goto(url);
  await run.step();
  await expect(page.locator(".conn")).toHaveCount(1);
  wire.cut();
  await expect(page.locator(".badge")).toHaveText("lost");
  await expect(page.locator(".sum")).toContainText("trying again");
  await run.step();
  wire.mend();
  await expect(page.locator(".conn")).toHaveCount(2, { timeout: 20_000 });
  await expect(page.locator(".badge")).toHaveText("live");
  expect(wire.asked.at(-1)).toMatch(/Last-Event-ID: \d+\.\d+\.\d+\r\n/i);
  await run.step();
  await expect(page.locator(".conn")).toHaveCount(3);
  wire.close();
});

/** All events of a stream until its end, as a browser takes them. */
async function listen(url: string, store: Store, lastId = "", most = Infinity): Promise<string> {
  const answer = await fetch(url + "events", { headers: lastId ? { "Last-Event-ID": lastId } : {} });
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "", id = lastId, n = 0;
  for (;;) {
    const at = text.indexOf("\n\n");
    if (at < 0) {
      const { value, done } = await reader.read();
      if (done)
        return "";
      text += value;
      continue;
    }
    const lines = text.slice(0, at).split("\n");
    text = text.slice(at + 2);
    const field = (name: string): string | undefined => lines.find((l) => l.startsWith(name + ": "))?.slice(name.length + 2);
    id = field("id") ?? id;
    const isEnd = field("event") === "end";
    if (!isEnd && field("data") !== undefined) {
      store.add(JSON.parse(field("data")!) as Chunk);
      n++;
    }
    if (isEnd || n >= most) {
      await reader.cancel();
      return id;
    }
  }
}

function reportOf(path: string): Report {
  const html = readFileSync(path, "utf8");
  const text = (id: string): string => new RegExp(`id="weir-${id}">([^<]*)</script>`).exec(html)![1];
  return readReport(JSON.parse(text("report")) as Head, text);
}

test("what was told piece by piece is what a report says at the end", async () => {
  mkdirSync(dir, { recursive: true });
  const path = resolve(dir, "whole.html"), run = await Run.start("--report", path, "--link", "delay=1ms loss=5% dup=3%");
  const whole = new Store(), broken = new Store();
  const echo = createServer((s) => s.on("error", () => {}).pipe(s));
  await new Promise<void>((done) => echo.listen(0, "127.0.0.1", done));
  const out = `out ${(echo.address() as { port: number }).port}`;
  const all = listen(run.url, whole);
  await run.step(out);
  const id = await listen(run.url, broken, "", 1); // one that goes after the first event,
  await run.step("stay");
  await run.step(out);
  const rest = listen(run.url, broken, id); // and comes back
  await run.step(out);
  await run.end();
  await all;
  await rest;
  echo.close();
  const wanted = reportOf(path);
  for (const store of [whole, broken]) {
    const got = store.report();
    expect(got.head.rows).toBe(wanted.head.rows);
    expect([...got.first]).toEqual([...wanted.first]);
    expect(got.head.hosts).toEqual(wanted.head.hosts);
    expect(got.head.texts).toEqual(wanted.head.texts);
    expect(got.head.conns.map((c) => [c.verdict, c.ends])).toEqual(wanted.head.conns.map((c) => [c.verdict, c.ends]));
    for (const name of Object.keys(wanted.rows) as (keyof Rows)[])
      expect([name, [...got.rows[name]]]).toEqual([name, [...wanted.rows[name]]]);
  }
});
