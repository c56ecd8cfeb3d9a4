module trilemma/checkers/amicontained

go 1.24

require github.com/genuinetools/amicontained v0.4.9
