import { resolve } from "node:path";
import { expect, test as base, type Page } from "@playwright/test";
import { dir } from "./setup";

// Anything on the console fails the test.
const test = base.extend<{ page: Page }>({
  page: async ({ page }, use) => {
    const said: string[] = [];
    page.on("console", (m) => said.push(`${m.type()}: ${m.text()}`));
    page.on("pageerror", (e) => said.push(e.message));
    await use(page);
    expect(said).toEqual([]);
  },
});

async function open(page: Page, name: string): Promise<void> {
  await page.goto("file://" + resolve(dir, `${name}.html`));
  await expect(page.locator(".conn-head h2")).toBeVisible();
}

/** Is there anything but paper on the canvas of the diagram? */
function inked(page: Page): Promise<number> {
  return page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>(".canvas canvas")!, c = canvas.getContext("2d")!;
    const data = c.getImageData(0, 0, canvas.width, canvas.height).data, colours = new Set<number>();
    for (let i = 0; i < data.length; i += 4)
      colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
    return colours.size;
  });
}

test("a connection has its verdict, totals and ledger", async ({ page }) => {
  await open(page, "lossy");
  await expect(page).toHaveTitle("Lossy <link> · weir");
  await expect(page.locator(".verdict")).toHaveText("Closed cleanly, client first");
  await expect(page.locator(".conn")).toHaveCount(1);
  await expect(page.locator(".facts")).toContainText("300 KiB");
  await expect(page.locator(".account")).toHaveCount(2);
  await expect(page.locator(".account").first()).toContainText(/\d+ % congestion window/);
  const shares = await page.locator(".account").first().locator(".words span").allTextContents();
  const sum = shares.map((s) => parseInt(s)).reduce((a, b) => a + b, 0);
  expect(sum).toBe(100);
  expect(await page.locator("body").innerText()).not.toMatch(/null|undefined|NaN|object/);
});

test("the diagram draws, steps, and shows a segment in full", async ({ page }) => {
  await open(page, "lossy");
  expect(await inked(page)).toBeGreaterThan(20);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await expect(page.locator(".detail")).toContainText("SYN");
  await expect(page.locator(".detail")).toContainText("on the wire");
  await expect(page.locator(".detail")).toContainText("Arrived after");
  await page.keyboard.press("Escape");
  await expect(page.locator(".detail")).toBeHidden();
});

test("trouble is found by a key: a lost segment, and the one sent again", async ({ page }) => {
  await open(page, "lossy");
  const seen = new Set<string>();
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press("n");
    const text = await page.locator(".detail").innerText();
    for (const word of ["lost on the link", "a retransmission", "duplicated on the link"])
      if (text.includes(word))
        seen.add(word);
  }
  expect([...seen].sort()).toEqual(["a retransmission", "duplicated on the link", "lost on the link"]);
});

test("packets are searched", async ({ page }) => {
  await open(page, "lossy");
  await page.keyboard.press("/");
  await page.keyboard.type("fin");
  await page.keyboard.press("Enter");
  await expect(page.locator(".detail")).toContainText("FIN");
  await page.locator(".find").fill("no such thing");
  await page.keyboard.press("Enter");
  await expect(page.locator(".found")).toHaveText("not found");
});

test("hover tells of a segment, a click chooses it", async ({ page }) => {
  await open(page, "lossy");
  const box = (await page.locator(".canvas canvas").boundingBox())!;
  let found = false;
  for (let y = 40; y < 120 && !found; y += 3) {
    await page.mouse.move(box.x + box.width * 0.5, box.y + y);
    found = await page.locator(".tip").isVisible();
  }
  expect(found).toBe(true);
  await expect(page.locator(".tip")).toContainText("seq");
  await page.mouse.down();
  await page.mouse.up();
  await expect(page.locator(".detail")).toBeVisible();
});

test("a click into a plot leads to the packet", async ({ page }) => {
  await open(page, "lossy");
  await expect(page.locator(".plot")).toHaveCount(5);
  await expect(page.locator(".plot h3")).toContainText(["States", "Sequence", "Windows", "Round trip", "Throughput"]);
  const over = page.locator(".u-over").nth(1), box = (await over.boundingBox())!;
  await over.click({ position: { x: box.width / 2, y: box.height / 2 } });
  await expect(page.locator(".detail")).toBeVisible();
  await expect(page.locator(".legend").nth(2)).toContainText(/cwnd \d/);
});

test("zoom, by time, fit, whose sending", async ({ page }) => {
  await open(page, "lossy");
  for (const key of ["+", "-", "t", "0", "1", "t", "0", "ArrowDown", "PageDown", "End", "Home"])
    await page.keyboard.press(key);
  expect(await inked(page)).toBeGreaterThan(20);
  await page.locator(".sides button", { hasText: "server" }).click();
  await expect(page.locator(".sides [aria-pressed=true]")).toHaveText("server");
  await page.locator(".sides .reset").click();
});

test("play moves on, and pauses", async ({ page }) => {
  await open(page, "lossy");
  await page.keyboard.press(" ");
  await expect(page.getByRole("button", { name: "Pause" })).toBeVisible();
  await expect(page.locator(".legend").nth(1)).toContainText(/acknowledged \d/);
  await page.keyboard.press(" ");
  await expect(page.getByRole("button", { name: "Play" })).toBeVisible();
});

test("light and dark", async ({ page }) => {
  await open(page, "lossy");
  const paper = (): Promise<string> => page.evaluate(() => getComputedStyle(document.querySelector(".top")!).backgroundColor);
  const before = await paper();
  await page.keyboard.press("d");
  expect(await paper()).not.toBe(before);
  await page.keyboard.press("d");
  expect(await paper()).toBe(before);
});

test("the keys are told", async ({ page }) => {
  await open(page, "lossy");
  await page.keyboard.press("?");
  await expect(page.locator("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.locator("dialog")).toBeHidden();
});

test("several connections are filtered, walked through, and drawn together", async ({ page }) => {
  await open(page, "several");
  await expect(page.locator(".conn")).toHaveCount(5);
  await page.getByPlaceholder("Filter connections").fill("client-22");
  await expect(page.locator(".conn")).toHaveCount(1);
  await page.locator(".conn").click();
  await expect(page.locator(".conn-head h2")).toContainText("client-22");
  await page.getByPlaceholder("Filter connections").fill("");
  await page.locator(".conn-head").click();
  await page.keyboard.press("]");
  await expect(page.locator(".conn-head h2")).not.toContainText("client-22");
  await page.locator(".all").click();
  await expect(page.locator(".conn-head h2")).toHaveText("All connections");
  expect(await inked(page)).toBeGreaterThan(20);
  await page.keyboard.press("ArrowRight");
  await expect(page.locator(".detail")).toBeVisible();
});

test("a capture: one place, its reasons from the comments", async ({ page }) => {
  await open(page, "capture");
  await expect(page.locator(".verdict")).toHaveText("Closed cleanly, the client first");
  await page.keyboard.press("/");
  await page.keyboard.type("retransmit");
  await page.keyboard.press("Enter");
  await expect(page.locator(".detail")).toContainText("retransmit:");
  await expect(page.locator(".detail")).toContainText("Packet");
});

test("on a phone: tabs, and nothing wider than the screen", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page, "several");
  for (const tab of ["plots", "connections", "diagram"]) {
    await page.locator(`[data-for=${tab}]`).click();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  }
  await expect(page.locator(".canvas canvas")).toBeVisible();
  await page.locator("[data-for=connections]").click();
  await page.locator(".conn").nth(2).click();
  await expect(page.locator(".canvas canvas")).toBeVisible();
});

test("on paper: the tools are gone, the plots are there", async ({ page }) => {
  await open(page, "lossy");
  await page.emulateMedia({ media: "print" });
  await expect(page.locator(".toolbar")).toBeHidden();
  await expect(page.locator(".plot").last()).toBeVisible();
  expect((await page.pdf()).length).toBeGreaterThan(10_000);
});

test("nothing is fetched", async ({ page }) => {
  const asked: string[] = [];
  page.on("request", (r) => asked.push(r.url()));
  await open(page, "lossy");
  expect(asked.filter((url) => !url.startsWith("file:") && !url.startsWith("data:"))).toEqual([]);
  expect(asked.filter((url) => url.startsWith("file:"))).toHaveLength(1);
});

// Times are told, and not judged: the machine that tests run on has other things to do.
test("a million events open, and can be moved through", async ({ page }) => {
  const began = Date.now();
  await open(page, "big");
  const opened = Date.now() - began;
  await expect(page.locator(".sum")).toContainText(/1,\d{3},\d{3} events/);
  const frames = await page.evaluate(async () => {
    const canvas = document.querySelector(".canvas canvas")!, times: number[] = [];
    for (let i = 0; i < 30; i++) {
      const t = performance.now();
      canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: 4000, bubbles: true, cancelable: true }));
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      times.push(performance.now() - t);
    }
    return times.sort((a, b) => a - b);
  });
  await page.keyboard.press("0");
  await page.keyboard.press("n");
  await expect(page.locator(".detail")).toBeVisible();
  test.info().annotations.push({ type: "times", description: `opened in ${opened} ms, a frame takes ${frames[15].toFixed(0)} ms` });
  console.log(`    opened in ${opened} ms; a step of scrolling takes ${frames[15].toFixed(0)} ms, at most ${frames[29].toFixed(0)} ms`);
});
