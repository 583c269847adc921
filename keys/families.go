package keys

var (
	userTemplate        = MustNew("user:{id}")
	userByEmailTemplate = MustNew("user:email:{email}")
	usersByRoleTemplate = MustNew("users:role:{role}")
	usersAllTemplate    = MustNew("users:all")
	inquiriesTemplate   = MustNew("inquiries:{role}:{userId}:{filters}")
	workloadTemplate    = MustNew("analytics:workload:{timeRange}")
)

// User is the key of one user by id: user:42.
func User(id string) string { return userTemplate.Key(id) }

// UserPattern matches the keys of all users, user:*: those by id, and those by
// e-mail as well, which start the same way.
func UserPattern() string { return userTemplate.Pattern() }

// UserByEmail is the key of one user by e-mail address:
// user:email:ann@example.com.
//
// The address is taken as it is. Whether Ann@example.com and ann@example.com
// are one account is for the service to say, and a cache that guessed would
// show one person's data to another. If your look-up ignores case or
// surrounding space, bring the address into that form before you call, for
// reads and invalidations alike; an invalidation of another spelling is an
// invalidation of another key.
func UserByEmail(email string) string { return userByEmailTemplate.Key(email) }

// UserByEmailPattern matches the keys of all users by e-mail: user:email:*.
func UserByEmailPattern() string { return userByEmailTemplate.Pattern() }

// UsersByRole is the key of the list of users with a role: users:role:ADMIN.
func UsersByRole(role string) string { return usersByRoleTemplate.Key(role) }

// UsersByRolePattern matches the lists of all roles, users:role:*, but not
// [UsersAll].
func UsersByRolePattern() string { return usersByRoleTemplate.Pattern() }

// UsersAll is the key of the list of all users: users:all.
func UsersAll() string { return usersAllTemplate.Key() }

// Inquiries is the key of a list of inquiries as one user sees it in a role:
// inquiries:AGENT:42:page=2,status=open.
func Inquiries(role, userID string, filters Filters) string {
	return inquiriesTemplate.Key(role, userID, filters.String())
}

// InquiriesPattern matches all lists of inquiries: inquiries:*.
func InquiriesPattern() string { return inquiriesTemplate.Pattern() }

// InquiriesOfRole matches the lists of everybody in a role: inquiries:AGENT:*.
func InquiriesOfRole(role string) string { return inquiriesTemplate.Pattern(role) }

// InquiriesOf matches the lists of one user in a role, with whatever filters:
// inquiries:AGENT:42:*.
func InquiriesOf(role, userID string) string { return inquiriesTemplate.Pattern(role, userID) }

// InquiriesOfUser matches the lists of one user in any role: inquiries:*:42:*.
// It is no prefix; where the role is known, [InquiriesOf] is cheaper.
func InquiriesOfUser(userID string) string {
	return inquiriesTemplate.PatternWhere(map[string]string{"userId": userID})
}

// Workload is the key of the workload analysis of a time range:
// analytics:workload:30d.
func Workload(timeRange string) string { return workloadTemplate.Key(timeRange) }

// WorkloadPattern matches the workload analysis of every time range:
// analytics:workload:*.
func WorkloadPattern() string { return workloadTemplate.Pattern() }
