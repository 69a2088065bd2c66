import { execFileSync } from "node:child_process";
import { defineConfig } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";

// The page says of which sources it was built; scripts/check-viewer compares.
const sources = execFileSync("../scripts/check-viewer", ["--hash"], { encoding: "utf8" }).trim();

export default defineConfig({
  plugins: [
    { name: "weir-sources", transformIndexHtml: (html) => html.replace("%WEIR_SOURCES%", sources) },
    viteSingleFile({ removeViteModuleLoader: true }),
  ],
  build: { target: "es2021", modulePreload: false, cssCodeSplit: false, assetsInlineLimit: 1 << 24 },
  test: { include: ["test/**/*.test.ts"] },
} as Parameters<typeof defineConfig>[0]);
