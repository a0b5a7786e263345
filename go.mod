module github.com/picket-nsm/picket

go 1.26
