// What the console is built on, made into one file of assets by js/console-build.mjs.

import { h } from "preact";
import htm from "htm";

export { createContext, render } from "preact";
export { useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

/** Markup as a tagged template. */
export const html = htm.bind(h);
