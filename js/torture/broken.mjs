export const BROKEN = {};
