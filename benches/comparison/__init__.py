"""What script/bench does: the gateway and its peers under the same load, and what each request costs them."""
