// Nothing: what starting costs.

export default { fetch: () => new Response("ok\n") };
