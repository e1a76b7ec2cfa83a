import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["build/", "target/", "**/node_modules/", "pkg/"] },
  js.configs.recommended,
  { files: ["**/*.worker.js"], languageOptions: { globals: globals.worker } },
  {
    languageOptions: { globals: globals.node },
    rules: {
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
    },
  },
];
