// Shows /openapi.json with Swagger UI; nothing of it is asked for elsewhere.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });
