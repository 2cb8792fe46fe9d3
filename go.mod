module windrow

go 1.26.0
