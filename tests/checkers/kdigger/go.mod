module trilemma/checkers/kdigger

go 1.24

require github.com/quarkslab/kdigger v1.5.1

replace github.com/imdario/mergo => github.com/imdario/mergo v0.3.16
