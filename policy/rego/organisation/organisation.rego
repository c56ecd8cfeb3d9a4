# METADATA
# title: Organisation
# description: |
#   Where an organisation adds refusals of its own. Its files say `package organisation` and
#   `deny contains "some_code" if ...`; they can forbid more, never permit more.
package organisation

# METADATA
# title: Refusals
# description: Empty here, and a set: a file that makes `deny` anything else does not load.
deny contains "nothing" if false
