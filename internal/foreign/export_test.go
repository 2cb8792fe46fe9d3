package foreign

import "io"

// ServeAs serves with one answer to everything, which is what a file may make
// libhdf5 do.
func ServeAs(in io.Reader, out io.Writer, do func()) error {
	return serve(in, out, func(question) (answer, error) {
		do()
		return answer{Checked: Checked{Rows: 1}}, nil
	})
}
