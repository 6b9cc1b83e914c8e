"""One writer a format (`csv`, `markdown`, `terminal`, `html`), each a function of a `Table`."""
