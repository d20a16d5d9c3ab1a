// Shows /openapi.json with Swagger UI; nothing of it is asked for elsewhere.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
  responseInterceptor: (response) => {
    if (new URL(response.url).pathname.endsWith("/openapi.json") && response.ok) {
      response.text = JSON.stringify(withEmptyFields(JSON.parse(response.text)));
    }
    return response;
  },
});

/** The document, so that forms begin empty: Swagger UI would ask for some page, and for every image in base64. */
function withEmptyFields(api) {
  for (const { post } of Object.values(api.paths)) {
    for (const [type, { schema }] of Object.entries(post?.requestBody?.content ?? {})) {
      if (!type.includes("form")) continue;
      const { properties, required = [] } = api.components.schemas[schema.$ref.split("/").at(-1)];
      for (const [name, field] of Object.entries(properties)) {
        if (!required.includes(name)) field.examples = [""];
      }
    }
  }
  return api;
}
