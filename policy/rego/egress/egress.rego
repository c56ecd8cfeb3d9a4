# METADATA
# title: Egress
# description: |
#   What may leave. A domain that can come to hold files sends only requests that the proxy
#   reads, to listed hosts; a tunnel needs code, because that domain never holds files. Every
#   byte that the agent can vary is paid from the domain's budget.
package trilemma.egress

default ok := false

# METADATA
# title: Whether the request may leave
ok if {
	input.act != "egress"
} else if {
	_form_ok
	_host_ok
	_budget_ok
}

# METADATA
# title: Why it may not
reasons contains "connect_refused" if {
	not ok
	not _form_ok
	input.egress.structured == true
}

reasons contains "tunnel_without_code" if {
	not ok
	not _form_ok
	not input.egress.structured == true
}

reasons contains "host_not_listed" if {
	not ok
	not _host_ok
}

reasons contains "egress_budget" if {
	not ok
	not _budget_ok
}

_form_ok if {
	input.egress.structured == true
	input.egress.scheme in {"http", "https"}
	input.egress.method != "CONNECT"
}

_form_ok if {
	input.egress.structured == false
	"code" in input.held
	not "files" in input.held
}

_host_ok if input.egress.listed == true

# Without a list: only where files can never join this domain.
_host_ok if {
	input.egress.limited == false
	_never_files
}

_never_files if {
	"code" in input.held
	not "files" in input.held
}

_never_files if {
	is_array(input.grants)
	not "files" in input.grants
}

_budget_ok if {
	is_number(input.egress.bytes_out)
	is_number(input.egress.budget_left)
	input.egress.bytes_out >= 0
	input.egress.bytes_out <= input.egress.budget_left
	input.egress.budget_left > 0
}
