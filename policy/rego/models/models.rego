# METADATA
# title: Models
# description: |
#   A call to a model outside the trust boundary uses the internet, unless the operator names
#   its provider as under contract.
package trilemma.models

default ok := false

# METADATA
# title: Whether the call counts what it uses
ok if {
	input.act != "model"
} else if {
	input.model.inside == true
} else if {
	input.model.under_contract == true
} else if {
	"internet" in input.needs
}

# METADATA
# title: Why it may not go out
reasons contains "outside_model_without_internet" if not ok
