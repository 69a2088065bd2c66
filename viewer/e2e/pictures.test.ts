// The pictures of docs/lab: each is whole, asks nothing of the network, and has all of its texts inside.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "@playwright/test";

const dir = "../docs/lab";
const files = readdirSync(dir).filter((name) => name.endsWith(".svg"));
const sizeMax = 60_000;

// What is wrong with a picture; runs in the page that shows it.
function look(source: string): string[] {
  const faults: string[] = [];
  const parsed = new DOMParser().parseFromString(source, "image/svg+xml");
  if (parsed.querySelector("parsererror")) faults.push(`not well-formed: ${parsed.querySelector("parsererror")?.textContent}`);
  document.body.innerHTML = source;
  const svg = document.querySelector("svg");
  if (!svg?.querySelector("title")?.textContent) faults.push("no title");
  const frame = svg?.getBoundingClientRect();
  for (const t of svg?.querySelectorAll("text") ?? []) {
    const r = t.getBoundingClientRect();
    if (!frame || r.left < frame.left - 1 || r.right > frame.right + 1 || r.top < frame.top - 1 || r.bottom > frame.bottom + 1)
      faults.push(`outside: "${t.textContent}" at ${r.left.toFixed(0)}..${r.right.toFixed(0)}, ${r.top.toFixed(0)}..${r.bottom.toFixed(0)}`);
  }
  return faults;
}

test("pictures are whole, small, and keep their texts inside", async ({ page }) => {
  expect(files.length).toBeGreaterThan(40);
  await page.setContent("<body style='margin:0'></body>");
  for (const file of files) {
    const text = readFileSync(`${dir}/${file}`, "utf8");
    expect.soft(text.length, `${file}: larger than a page should have to load`).toBeLessThan(sizeMax);
    expect.soft(text.replace('xmlns="http://www.w3.org/2000/svg"', ""), file).not.toMatch(/https?:|href|@import|<script|<image|<foreignObject|url\((?!#)/);
    expect.soft(await page.evaluate(look, text), file).toEqual([]);
  }
});
