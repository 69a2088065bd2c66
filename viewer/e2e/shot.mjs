// Screenshots of a report: node e2e/shot.mjs REPORT.html OUT.png [WIDTH HEIGHT [light|dark [KEYS...]]]
import { chromium } from "@playwright/test";
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";

const [file, out, width = "1440", height = "900", theme = "light", ...keys] = process.argv.slice(2);
const executablePath = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: Number(width), height: Number(height) }, colorScheme: theme, deviceScaleFactor: 1 });
page.on("console", (m) => console.log(`${m.type()}: ${m.text()}`));
page.on("pageerror", (e) => console.log(`error: ${e.message}`));
await page.goto("file://" + resolve(file));
await page.waitForSelector(".conn-head h2");
for (const key of keys)
  key.startsWith("tab:") ? await page.click(`[data-for=${key.slice(4)}]`) : await page.keyboard.press(key);
await page.waitForTimeout(300);
await page.screenshot({ path: out });
await browser.close();
