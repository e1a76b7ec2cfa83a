import js from "@eslint/js";
import globals from "globals";

const off = (names) => Object.fromEntries(Object.keys(names).map((name) => [name, "off"]));

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
      "no-unused-vars": ["error", { argsIgnorePattern: "^_", ignoreRestSiblings: true }],
    },
  },
  // In a browser there is nothing of Node's.
  { files: ["js/console/**"], languageOptions: { globals: { ...off(globals.node), ...globals.browser } } },
];
