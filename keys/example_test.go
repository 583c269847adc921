package keys_test

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/tiercache/tiercache/keys"
)

// A family of your own: the template is checked when the program starts, the
// function gives its values names and types.
var orderTemplate = keys.MustNew("orders:{shop}:{id}")

func Order(shop string, id int64) string {
	return orderTemplate.Key(shop, strconv.FormatInt(id, 10))
}

func OrdersOf(shop string) string { return orderTemplate.Pattern(shop) }

func Example() {
	fmt.Println(Order("berlin", 42))
	fmt.Println(Order("berlin:mitte*", 42))
	fmt.Println(OrdersOf("berlin"))
	// Output:
	// orders:berlin:42
	// orders:berlin%3Amitte%2A:42
	// orders:berlin:*
}

func Example_users() {
	fmt.Println(keys.User("42"))
	fmt.Println(keys.UserByEmail("ann@example.com"))
	fmt.Println(keys.UsersByRole("ADMIN"))
	fmt.Println(keys.UsersAll())

	fmt.Println(keys.User("email:ann@example.com")) // an id cannot pass for an address
	fmt.Println(keys.UsersByRolePattern())
	// Output:
	// user:42
	// user:email:ann@example.com
	// users:role:ADMIN
	// users:all
	// user:email%3Aann@example.com
	// users:role:*
}

func Example_inquiries() {
	filters := keys.Filters{"status": {"open"}, "page": {"2"}}
	fmt.Println(keys.Inquiries("AGENT", "42", filters))
	fmt.Println(keys.Inquiries("AGENT", "42", nil))

	fmt.Println(keys.InquiriesOfRole("AGENT"))
	fmt.Println(keys.InquiriesOf("AGENT", "42"))
	fmt.Println(keys.InquiriesOfUser("42"))
	// Output:
	// inquiries:AGENT:42:page=2,status=open
	// inquiries:AGENT:42:all
	// inquiries:AGENT:*
	// inquiries:AGENT:42:*
	// inquiries:*:42:*
}

func Example_analytics() {
	fmt.Println(keys.Workload("30d"))
	fmt.Println(keys.WorkloadPattern())
	// Output:
	// analytics:workload:30d
	// analytics:workload:*
}

func ExampleNew() {
	_, err := keys.New("size:{w}x{h}")
	fmt.Println(err)
	// Output:
	// keys: template "size:{w}x{h}": between placeholder {w} and the next one there must be a literal with a ":", not "x"
}

func ExampleTemplate_Pattern() {
	visits := keys.MustNew("visits:{country}:{city}:{day}")
	fmt.Println(visits.Pattern())
	fmt.Println(visits.Pattern("de"))
	fmt.Println(visits.Pattern("de", "berlin"))
	fmt.Println(visits.PatternWhere(map[string]string{"day": "2024-05-01"}))
	// Output:
	// visits:*
	// visits:de:*
	// visits:de:berlin:*
	// visits:*:*:2024-05-01
}

func ExampleFilters() {
	first, _ := url.ParseQuery("status=open&page=2&q=late,+again")
	second, _ := url.ParseQuery("q=late,+again&page=2&status=open")
	fmt.Println(keys.Filters(first))
	fmt.Println(keys.Filters(second))
	fmt.Println(keys.Filters{})
	// Output:
	// page=2,q=late~2C~20again,status=open
	// page=2,q=late~2C~20again,status=open
	// all
}
