package wind

import "math"

// exp returns e to the power of x within one unit in the last place, and the
// same bits on every amd64 machine. The standard library's has two paths there,
// with and without fused multiplication, which differ in the last place, so
// that the rows of a dataset would depend on the CPU. It is also the heart of
// every Gaussian wake, and this one is faster.
//
// x = (n ln 2)/64 + r with |r| < 0.0055: 2^(n/64) from a table, e^r as a Taylor
// polynomial whose first term left out is 4e-17. What is below 1e-304 is zero.
func exp(x float64) float64 {
	const (
		perUnit = 64 / math.Ln2
		high    = 6.93147180369123816490e-01 / 64 // ln 2 / 64: the first 33 bits, so that n times it is exact
		low     = 1.90821492927058770002e-10 / 64 // and the rest
	)
	switch {
	case x != x:
		return x
	case x < -700:
		return 0
	case x > 700:
		return math.Inf(1)
	}
	n := int64(math.Float64frombits(math.Float64bits(0.5)|math.Float64bits(x)&(1<<63)) + x*perUnit)
	r := x - float64(n)*high - float64(n)*low
	power := math.Float64frombits(uint64(int64(powers64[n&63]) + n>>6<<52)) //nolint:gosec // the exponent stays in range for |x| <= 700
	return power + power*(r*(1+r*(1./2+r*(1./6+r*(1./24+r*(1./120))))))
}

// powers64 holds the bits of 2^(i/64).
var powers64 = func() (bits [64]uint64) {
	for i := range bits {
		bits[i] = math.Float64bits(math.Exp2(float64(i) / 64))
	}
	return bits
}()

// pow returns x to the power of y for x >= 0, with the same bits on every amd64
// machine.
func pow(x, y float64) float64 {
	if x == 0 {
		return 0
	}
	return exp(y * math.Log(x))
}
