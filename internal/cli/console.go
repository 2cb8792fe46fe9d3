package cli

import (
	"io"
	"sync"

	"github.com/vbauerster/mpb/v8"
)

// console is where everything but results goes. While a bar is shown there,
// lines are written above it; otherwise it would be drawn over them.
type console struct {
	out io.Writer

	mu   sync.Mutex
	bars *mpb.Progress // nil while there is no bar
}

// Write expects whole lines.
func (c *console) Write(lines []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bars != nil {
		// The terminal's echo of Ctrl-C has moved the cursor from the margin.
		if _, err := c.bars.Write(append([]byte{'\r'}, lines...)); err != nil {
			return 0, err
		}
		return len(lines), nil
	}
	return c.out.Write(lines)
}

// showBars starts drawing below what is written from now on.
func (c *console) showBars(options ...mpb.ContainerOption) *mpb.Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bars = mpb.New(append(options, mpb.WithOutput(c.out))...)
	return c.bars
}

// hideBars ends the drawing, once all bars are complete or aborted.
func (c *console) hideBars() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bars.Wait()
	c.bars = nil
}
