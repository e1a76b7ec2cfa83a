// The package in workerd.

import * as scimEdge from "scim-edge";
import { check } from "./check.mjs";

export default {
  async fetch(request) {
    return Response.json(await check(scimEdge, await request.json()));
  },
};
