import { defineConfig } from "vite"

// `npm run dev` and `npm run preview` show the pages against a running cloud:
// NGFW_URL, as .run/env has it.
const cloud = { "/api": { target: process.env.NGFW_URL ?? "http://127.0.0.1:8080", ws: true }, "/openapi.json": process.env.NGFW_URL ?? "http://127.0.0.1:8080" }

export default defineConfig({
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0, reportCompressedSize: false },
  server: { proxy: cloud },
  preview: { proxy: cloud },
})
