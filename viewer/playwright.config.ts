import { execFileSync } from "node:child_process";
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "e2e",
  globalSetup: "./e2e/setup.ts",
  timeout: 60_000,
  workers: 1,
  use: {
    viewport: { width: 1280, height: 800 },
    launchOptions: {
      executablePath: execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim(),
      args: ["--no-sandbox"],
    },
  },
});
