"""Who may ask for what: names of the site, forms sent from elsewhere, and how often something may be done."""
