package trilemma.egress_test

import data.trilemma.egress

_request := {
	"scheme": "https",
	"method": "GET",
	"structured": true,
	"listed": true,
	"limited": true,
	"bytes_out": 100,
	"budget_left": 100,
}

_tunnel := {
	"scheme": "tunnel",
	"method": "CONNECT",
	"structured": false,
	"listed": true,
	"limited": true,
	"bytes_out": 0,
	"budget_left": 100,
}

_reader := ["internet", "code"]

_mail := ["files", "internet"]

_leaving(held, base, changes) := {
	"act": "egress",
	"held": held,
	"grants": null,
	"egress": object.union(base, changes),
}

test_a_listed_request_leaves if {
	egress.ok with input as _leaving(_mail, _request, {})
	egress.reasons == set() with input as _leaving(_mail, _request, {})
}

test_a_host_that_is_not_listed_is_refused if {
	facts := _leaving(_mail, _request, {"listed": false})
	not egress.ok with input as facts
	egress.reasons == {"host_not_listed"} with input as facts
}

test_without_a_list_files_go_nowhere if {
	not egress.ok with input as _leaving(_mail, _request, {"listed": false, "limited": false})
	not egress.ok with input as _leaving(["internet"], _request, {"listed": false, "limited": false})
}

test_without_a_list_a_domain_that_never_holds_files_goes_anywhere if {
	free := {"listed": false, "limited": false}
	egress.ok with input as _leaving(_reader, _request, free)
	egress.ok with input as object.union(_leaving(["internet"], _request, free), {"grants": _reader})
}

test_a_list_binds_that_domain_too if {
	not egress.ok with input as _leaving(_reader, _request, {"listed": false})
	not egress.ok with input as _leaving(_reader, _tunnel, {"listed": false})
}

test_connect_is_refused_where_requests_are_read if {
	every change in [{"method": "CONNECT"}, {"scheme": "tunnel"}, {"scheme": "ftp"}] {
		facts := _leaving(_mail, _request, change)
		not egress.ok with input as facts
		egress.reasons == {"connect_refused"} with input as facts
	}
}

test_a_tunnel_needs_code if {
	egress.ok with input as _leaving(_reader, _tunnel, {})
	every held in [_mail, ["internet"], ["files", "code"], ["files", "internet", "code"], []] {
		not egress.ok with input as _leaving(held, _tunnel, {})
		egress.reasons == {"tunnel_without_code"} with input as _leaving(held, _tunnel, {})
	}
}

test_the_budget_is_a_ceiling if {
	over := _leaving(_mail, _request, {"bytes_out": 101})
	not egress.ok with input as over
	egress.reasons == {"egress_budget"} with input as over
	not egress.ok with input as _leaving(_mail, _request, {"bytes_out": -1})
}

test_an_empty_budget_opens_no_tunnel if {
	not egress.ok with input as _leaving(_reader, _tunnel, {"budget_left": 0})
}

test_sizes_are_numbers if {
	every wrong in ["5", null, true, []] {
		not egress.ok with input as _leaving(_mail, _request, {"bytes_out": wrong})
		not egress.ok with input as _leaving(_mail, _request, {"budget_left": wrong})
	}
}

test_only_true_is_true if {
	not egress.ok with input as _leaving(_mail, _request, {"listed": "true"})
	not egress.ok with input as _leaving(_reader, _request, {"structured": 0})
}

test_missing_facts_are_refused if {
	every name in object.keys(_request) - {"limited"} {
		partial := object.remove(_request, [name])
		not egress.ok with input as _leaving(_mail, partial, {})
	}
}

test_other_acts_are_not_judged_here if {
	egress.ok with input as {"act": "tool"}
}
